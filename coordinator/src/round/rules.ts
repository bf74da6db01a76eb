import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { fewestSites, thresholdOf } from "@consilium/shared/secagg/protocol.js";
import { collapseThresholds } from "./collapse.js";
import type { SumSize } from "./safe-sites.js";
import type { AttemptRules, StageState } from "./state.js";

/** Times that a run's configuration does not decide. */
export interface RuleTimes extends Pick<AttemptRules, "graceMs" | "recoveryGraceMs"> {
  /** How long a run's first selection waits for sites that are enrolled and not there yet. */
  readonly settleMs: number;
}

export const defaultRuleTimes: RuleTimes = {
  // Longer than a reconnect after a lost connection, far shorter than a stage.
  graceMs: 10_000,
  // A site's back-off may have grown while the coordinator was away.
  recoveryGraceMs: 30_000,
  settleMs: 3_000,
};

/** As many uploads as a site's policy allows in one round unless it says otherwise. */
const maxFailures = 3;

export function rulesOf(config: RunConfig, times: RuleTimes = defaultRuleTimes): AttemptRules {
  const { minSites, maxSites, colluders, sites } = config.cohort;
  return {
    minSites,
    maxSites,
    colluders,
    allowedSites: sites ?? null,
    trainingWindowMs: config.deadlines.trainingSeconds * 1000,
    stageWindowMs: config.deadlines.stageSeconds * 1000,
    graceMs: times.graceMs,
    recoveryGraceMs: times.recoveryGraceMs,
    maxFailures,
    collapse: collapseThresholds(config),
  };
}

/** Fewest advertisers with which masking may begin. */
export function selectionFloor(rules: AttemptRules): number {
  return Math.max(fewestSites, rules.minSites);
}

/** Fewest sites with which the stage may close: the floors of |U1|, |U2|, |U3|, of signatures under U3 and of reveals. */
export function stageFloor(state: StageState): number {
  const { rules } = state;
  if (state.kind === "training") return selectionFloor(rules);
  const threshold = thresholdOf(state.advertisers.length, rules.colluders);
  // Whom the sum is over is settled then; what is left takes as many sites as it takes to open it.
  const settled = state.kind === "confirming" || state.kind === "unmasking";
  return settled ? threshold : Math.max(threshold, rules.minSites);
}

/** The sums that an attempt allows. @param sites how many would advertise, where the attempt does not know yet */
export function sumSize(
  { rules, ...state }: Pick<StageState, "rules"> & { readonly advertisers?: readonly string[] },
  sites: number,
): SumSize {
  const { colluders, maxSites: most } = rules;
  const threshold = thresholdOf(state.advertisers?.length ?? sites, colluders);
  const floor = state.advertisers === undefined ? selectionFloor(rules) : rules.minSites;
  return { fewest: Math.max(threshold, floor), most, colluders };
}

const retryBaseMs = 1_000;
const retryMaxMs = 60_000;

/** Pause before the attempt after this one; doubles with every attempt at the round. */
export function retryDelayMs(attempt: number): number {
  return Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(attempt - 1, 10));
}
