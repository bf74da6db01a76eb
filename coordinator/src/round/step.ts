import type { AttemptStep } from "../store/run-store.js";
import type { SignedResult } from "./ports.js";
import { recordOf } from "./progress.js";
import type { RoundState } from "./state.js";

export interface StepFacts extends Pick<AttemptStep, "message" | "upload" | "release" | "nowMs"> {
  readonly parentDigest: string;
  /** Of a committed attempt. */
  readonly result?: SignedResult;
  /** The round is the run's last. */
  readonly isLast: boolean;
}

/** All that one transition changes on disk, for one transaction: the run's fate goes with the attempt's. */
export function stepOf(state: RoundState, { parentDigest, result, isLast, ...delivery }: StepFacts): AttemptStep {
  const step = { key: state.key, kind: state.kind, stateJson: JSON.stringify(state), ...delivery };
  if (state.kind === "committed" && result !== undefined) {
    const { checkpointDigest } = state.aggregate;
    const recordJson = JSON.stringify(recordOf(state, parentDigest));
    const status = isLast ? "completed" : state.alarm === null ? "running" : "paused";
    return {
      ...step,
      commit: { recordJson, checkpointDigest, result, status, reason: isLast ? "" : (state.alarm ?? "") },
    };
  }
  if (state.kind !== "aborted" || state.next.kind === "retry") return step;
  const { kind, reason } = state.next;
  return { ...step, run: { status: kind === "pause" ? "paused" : "stopped", reason } };
}
