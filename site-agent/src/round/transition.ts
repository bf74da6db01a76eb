import type { ConsiliumError } from "@consilium/shared/errors.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import { BadShare } from "@consilium/shared/secagg/seal.js";
import type { SitePhase, StageOutcome } from "./coordinator.js";
import type { LeftCause, ParticipantEffect, ParticipantEvent, ParticipantState, Work } from "./state.js";

export interface Step {
  readonly state: ParticipantState;
  readonly effects: readonly ParticipantEffect[];
}

/** The only place that decides what a site does next. Events about any other attempt than the current one change nothing. */
export function transition(state: ParticipantState, event: ParticipantEvent): Step {
  if (event.kind === "plan-accepted") return onPlanAccepted(state, event);
  if (event.kind === "plan-refused") return onPlanDeclined(state, event.key, toRefused(event.key, event.clause));
  if (event.kind === "plan-invalid") return onPlanDeclined(state, event.key, toFailed(event.key, event.error));
  if (!concerns(state, event.key)) return unchanged(state);
  return isActive(state) ? onActive(state, event) : unchanged(state);
}

type Active = Extract<
  ParticipantState,
  { kind: "fetching" | "training" | "ready" | "sharing" | "uploading" | "confirming" | "unmasking" }
>;

export function isActive(state: ParticipantState): state is Active {
  switch (state.kind) {
    case "fetching":
    case "training":
    case "ready":
    case "sharing":
    case "uploading":
    case "confirming":
    case "unmasking":
      return true;
    default:
      return false;
  }
}

/** Whether a plan asks for something that the site has not already taken up, finished or left behind. */
export function isNews(state: ParticipantState, key: RoundKey): boolean {
  if (state.kind === "idle") return true;
  if (roundKeyText(state.key) === roundKeyText(key)) return state.kind === "refused";
  if (state.key.runId !== key.runId) return true;
  return key.round > state.key.round || (key.round === state.key.round && key.attempt > state.key.attempt);
}

function concerns(state: ParticipantState, key: RoundKey): state is Exclude<ParticipantState, { kind: "idle" }> {
  return state.kind !== "idle" && roundKeyText(state.key) === roundKeyText(key);
}

/** Also where nothing runs: abandoning nothing is nothing. */
const abandon: ParticipantEffect = { kind: "abandon" };

const unchanged = (state: ParticipantState): Step => ({ state, effects: [] });

function onPlanAccepted(state: ParticipantState, event: Extract<ParticipantEvent, { kind: "plan-accepted" }>): Step {
  const { key, updateReady, advertised } = event;
  // site-check: plan-news
  if (!isNews(state, key)) return unchanged(state);
  // New keys under an attempt that other sites already hold our old keys for would look like an attack.
  // site-check: no-second-keys
  if (advertised) {
    const report = reportOf(key, "failed", { code: "attempt-aborted" });
    return { state: { kind: "left", key, cause: "restarted" }, effects: [abandon, report] };
  }
  const next = updateReady ? toReady(key) : toFetching(key);
  return { state: next.state, effects: [abandon, ...next.effects] };
}

/** A newer plan ends the older work, also when the site takes no part in the newer one. */
function onPlanDeclined(state: ParticipantState, key: RoundKey, declined: Step): Step {
  return isNews(state, key) ? declined : unchanged(state);
}

type Inner = Exclude<ParticipantEvent, { kind: "plan-accepted" | "plan-refused" | "plan-invalid" }>;

function onActive(state: Active, event: Inner): Step {
  const { key } = state;
  switch (event.kind) {
    case "withdrawn":
      return toLeft(key, "withdrawn");
    case "failed":
      return toFailed(key, event.error);
    case "refused":
      return toRefused(key, event.clause);
    case "fetched":
      return state.kind === "fetching" ? toTraining(key) : unchanged(state);
    case "progress":
      return state.kind === "training" ? onProgress(key, event.stepsDone) : unchanged(state);
    case "trained":
      return state.kind === "training" ? toReady(key, state) : unchanged(state);
    case "committed":
      return state.kind === "unmasking" ? toDone(key) : unchanged(state);
    case "outcome":
      return onOutcome(state, event.outcome);
  }
}

function onProgress(key: RoundKey, stepsDone: number): Step {
  return { state: { kind: "training", key, stepsDone }, effects: [reportOf(key, "training", { stepsDone })] };
}

/** The stages, in order: what answers which state, and what follows. */
function onOutcome(state: Active, outcome: StageOutcome): Step {
  const { key } = state;
  if (outcome.kind === "dropped" || outcome.kind === "aborted") return toLeft(key, outcome.kind);
  if (outcome.kind === "result") return toDone(key);
  if (state.kind === "ready" && outcome.kind === "advertised") return toStage("sharing", "share", { key, outcome });
  if (state.kind === "sharing" && outcome.kind === "delivered") return toStage("uploading", "upload", { key, outcome });
  if (isAfterUpload(state) && outcome.kind === "survivors") return toStage("confirming", "confirm", { key, outcome });
  if (state.kind === "confirming" && outcome.kind === "confirmed")
    return toStage("unmasking", "unmask", { key, outcome });
  return toFailed(key, { code: "plan-invalid" });
}

/** Survivors that come again are looked at too: other ones than before are an attack, to be written down as one. */
function isAfterUpload({ kind }: Active): boolean {
  return kind === "uploading" || kind === "confirming" || kind === "unmasking";
}

function toFetching(key: RoundKey): Step {
  return {
    state: { kind: "fetching", key },
    effects: [reportOf(key, "fetching"), { kind: "perform", work: "fetch", key }],
  };
}

function toTraining(key: RoundKey): Step {
  const state = { kind: "training", key, stepsDone: 0 } as const;
  return { state, effects: [reportOf(key, "training"), { kind: "perform", work: "train", key }] };
}

/** With the steps of the training that just ended: progress is told so seldom that their end may not have been. */
function toReady(key: RoundKey, { stepsDone = 0 }: { readonly stepsDone?: number } = {}): Step {
  return {
    state: { kind: "ready", key },
    effects: [reportOf(key, "masking", { stepsDone }), { kind: "perform", work: "advertise", key }],
  };
}

function toStage(
  kind: "sharing" | "uploading" | "confirming" | "unmasking",
  work: Work,
  { key, outcome }: { key: RoundKey; outcome: StageOutcome },
): Step {
  return { state: { kind, key }, effects: [{ kind: "perform", work, key, outcome }] };
}

function toDone(key: RoundKey): Step {
  const effects: ParticipantEffect[] = [abandon, { kind: "forget-update", key }, reportOf(key, "done")];
  return { state: { kind: "done", key }, effects };
}

function toLeft(key: RoundKey, cause: LeftCause): Step {
  return { state: { kind: "left", key, cause }, effects: [abandon] };
}

function toFailed(key: RoundKey, error: Pick<ConsiliumError, "code">): Step {
  const { code } = error;
  const accused = error instanceof BadShare ? error.author : "";
  return {
    state: { kind: "failed", key, code },
    effects: [abandon, reportOf(key, "failed", { code, accused })],
  };
}

function toRefused(key: RoundKey, clause: string): Step {
  const report = reportOf(key, "refused", { code: "policy-refused", clause });
  return { state: { kind: "refused", key, clause }, effects: [abandon, report] };
}

function reportOf(
  key: RoundKey,
  phase: SitePhase,
  about: { code?: string; clause?: string; stepsDone?: number; accused?: string } = {},
): ParticipantEffect {
  return { kind: "report", key, phase, code: "", clause: "", stepsDone: 0, accused: "", ...about };
}
