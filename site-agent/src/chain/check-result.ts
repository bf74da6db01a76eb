import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import type { CommittedRound } from "@consilium/shared/protocol.js";
import { compareSiteIds, isSiteId, sameBytes, thresholdOf } from "@consilium/shared/secagg/protocol.js";
import type { Policy } from "../policy.js";
import { SiteRefusal } from "../refusal.js";
import { ModelClause } from "./clauses.js";
import type { ConfirmedSum, VerifiedModel } from "./ledger.js";

/** The run that a site takes part in, by its own reckoning. */
export interface RunTerms {
  readonly federation: string;
  readonly runId: string;
  readonly config: RunConfig;
  /** The same, byte for byte as plans hold it. */
  readonly configJson: string;
  readonly layout: ParameterLayout;
  readonly policy: Policy;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function chainRefusal(reason: string): SiteRefusal {
  return new SiteRefusal(ModelClause.chain, `the model's history does not hold: ${reason}`, {
    remedy: "ask the coordinator's operator; this site trains on no model whose history it cannot follow",
  });
}

/** The result must be of the round after `before`, and begin where that one ended. @throws SiteRefusal "model.chain" */
export function requireNext(before: VerifiedModel, result: CommittedRound, run: RunTerms): void {
  const { key } = result;
  const place = `round ${before.round + 1}`;
  const own = result.federation === run.federation && key.runId === run.runId && key.round === before.round + 1;
  // site-check: result-of-round
  if (!own) throw chainRefusal(`what stands for ${place} is the result of another`);
  // site-check: result-after-result
  if (hex(result.previousResultDigest) !== before.result) throw chainRefusal(`${place} follows another result`);
  const begins = hex(result.previousCheckpointDigest) === before.checkpoint;
  // site-check: result-from-checkpoint
  if (!begins) throw chainRefusal(`${place} began from another model`);
}

/**
 * The round must have been summed as the run's configuration says, over as many sites as this one asks for.
 * @throws SiteRefusal "model.terms"
 */
export function requireTerms(result: CommittedRound, run: RunTerms): void {
  const { config, layout } = run;
  const terms = planTerms(config, layout, result.key.round);
  // site-check: result-clips
  if (!alike(result.tensorClips, terms.tensorClips)) throw termsRefusal(result, "its clips are not the run's");
  const sameLanes = result.lanes.join() === terms.lanes.join();
  // site-check: result-lanes
  if (!sameLanes) throw termsRefusal(result, "its lanes are not the run's");
  // site-check: result-weight-cap
  if (result.weightCap !== terms.weightCap) throw termsRefusal(result, "its weight cap is not the run's");
  const sameOptimizer = result.serverOptimizer === config.aggregation.serverOptimizer;
  // site-check: result-optimizer
  if (!sameOptimizer) throw termsRefusal(result, "its server optimiser is not the run's");
  requireCohort(result, run);
}

/** Logarithms and powers may differ in their last bit between versions of the JavaScript engine. */
function alike(given: readonly number[], own: readonly number[]): boolean {
  return given.length === own.length && given.every((clip, i) => Math.abs(clip - own[i]!) <= 1e-5 * own[i]!);
}

function requireCohort(result: CommittedRound, { config, policy }: RunTerms): void {
  const { cohort, advertisers } = result;
  const { colluders, minSites, maxSites } = config.cohort;
  const sorted = cohort.every((site, i) => isSiteId(site) && (i === 0 || compareSiteIds(cohort[i - 1]!, site) < 0));
  // site-check: result-cohort-form
  if (!sorted) throw termsRefusal(result, "its cohort is no list of sites");
  const least = Math.max(minSites, policy.secagg.minCohort, thresholdOf(advertisers, colluders));
  // site-check: result-cohort-floor
  if (cohort.length < least) throw termsRefusal(result, `its sum is over ${cohort.length} sites, not ${least}`);
  const possible = cohort.length <= advertisers && advertisers <= maxSites;
  // site-check: result-advertisers
  if (!possible) throw termsRefusal(result, `${advertisers} sites cannot have advertised keys`);
}

/** Of a round that this site was part of, the result must be about the sum that it helped to unmask. */
export function requireConfirmed(result: CommittedRound, confirmed: ConfirmedSum | undefined): void {
  if (confirmed === undefined) return;
  const same = hex(result.planDigest) === confirmed.plan && result.cohort.join() === confirmed.cohort.join();
  // site-check: result-confirmed
  if (!same) throw chainRefusal(`round ${confirmed.round} is not the one that this site took part in`);
  const sameUploads = hex(result.survivorsDigest) === confirmed.survivors;
  // site-check: result-survivors
  if (!sameUploads) throw chainRefusal(`round ${confirmed.round} sums other uploads than this site confirmed`);
}

/** The plan must begin where the last result ended. @throws SiteRefusal "model.chain" */
export function requireBegin(
  before: VerifiedModel,
  plan: { readonly checkpointDigest: Uint8Array; readonly previousResultDigest: Uint8Array },
): void {
  const after = sameBytes(plan.previousResultDigest, Buffer.from(before.result, "hex"));
  // site-check: plan-after-result
  if (!after) throw chainRefusal("the plan follows another result");
  // site-check: plan-from-checkpoint
  if (hex(plan.checkpointDigest) !== before.checkpoint) throw chainRefusal("the plan begins from another model");
}

function termsRefusal({ key }: CommittedRound, reason: string): SiteRefusal {
  return new SiteRefusal(ModelClause.terms, `round ${key.round} is not taken over: ${reason}`, {
    remedy: "check that agent and coordinator have the same version; if they have, ask the coordinator's operator",
  });
}
