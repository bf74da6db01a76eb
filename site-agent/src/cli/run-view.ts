import { formatLoss, percentBar } from "@consilium/shared/terminal/format.js";
import type { LiveFrame } from "@consilium/shared/terminal/live.js";
import type { AgentStatus } from "../status-file.js";

/** What a running agent shows in a terminal. */

const stateText: Readonly<Record<string, string>> = {
  idle: "waiting for work",
  stopped: "stopped",
  fetching: "fetching the checkpoint",
  training: "training",
  ready: "trained; waiting for the other sites",
  sharing: "sharing keys with the other sites",
  uploading: "sending the masked update",
  confirming: "agreeing on whose updates are in the sum",
  unmasking: "waiting for the sum",
  done: "done; waiting for the next round",
  refused: "refused by this site's policy",
  failed: "failed",
  left: "left out of this attempt",
};

/** "run abc, round 3: training 12 of 50 steps". */
export function workText(status: AgentStatus): string {
  const { runId, round, attempt, state, because } = status;
  const text = stateText[state] ?? state;
  const reason = because === undefined ? "" : ` (${because})`;
  if (runId === undefined) return `${text}${reason}`;
  const again = attempt === undefined || attempt <= 1 ? "" : `, attempt ${attempt}`;
  return `run ${runId}, round ${round}${again}: ${text}${reason}${progressText(status)}`;
}

function progressText({ state, stepsDone, steps }: AgentStatus): string {
  return state === "training" && stepsDone !== undefined && steps !== undefined
    ? ` ${stepsDone} of ${steps} steps`
    : "";
}

export function runFrame(status: AgentStatus): LiveFrame {
  const connection = status.connected
    ? `connected to ${status.coordinator}`
    : `not connected to ${status.coordinator}${status.unreachable === undefined ? "" : `: ${status.unreachable}`}`;
  const site = `${status.siteId} of ${status.federation}, ${connection}`;
  // Progress stays out of what a log is told, which has a line for each state.
  const { stepsDone: _stepsDone, ...withoutProgress } = status;
  return { lines: [site, workText(status), ...trainingLines(status)], summary: [site, workText(withoutProgress)] };
}

function trainingLines({ state, stepsDone, steps, loss, imagesPerSecond }: AgentStatus): string[] {
  if (state !== "training" || stepsDone === undefined || steps === undefined) return [];
  const speed = imagesPerSecond === undefined ? "" : `  ${imagesPerSecond.toFixed(1)} images/s`;
  return [`${percentBar(stepsDone / steps, 30)}  loss ${formatLoss(loss)}${speed}`];
}
