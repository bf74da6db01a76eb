import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { planWeightCap } from "@consilium/shared/config/site-weight.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { AuditWitness, RoundKey, RoundPlan } from "@consilium/shared/protocol.js";
import { lanesFor } from "@consilium/shared/secagg/lanes.js";
import { tensorClips } from "./clips.js";

export interface PlanFacts {
  readonly federation: string;
  readonly key: RoundKey;
  readonly config: RunConfig;
  readonly layout: ParameterLayout;
  readonly checkpoint: { readonly digest: Uint8Array; readonly bytes: number };
  /** Asks nothing of anyone: each site finds its own and compares. */
  readonly auditWitnesses: readonly AuditWitness[];
  /** The roster that the cohort is chosen by. */
  readonly roster: { readonly version: number; readonly digest: string } | undefined;
  /** URI of the certificate of whoever launched the run. */
  readonly launchedBy: string;
}

/** What an attempt asks of its cohort; a function of the run and the round, never of who takes part. Rounds count from 1. */
export function buildPlan(facts: PlanFacts): RoundPlan {
  const { federation, key, config, layout, checkpoint, auditWitnesses, roster, launchedBy } = facts;
  const firstStep = (key.round - 1) * config.training.stepsPerRound;
  return {
    federation,
    key,
    runConfigJson: canonicalJson(config),
    checkpointDigest: checkpoint.digest,
    checkpointBytes: checkpoint.bytes,
    layoutDigest: layout.digest,
    dimension: layout.dimension,
    tensorClips: tensorClips(config, layout, firstStep),
    l2Clip: Math.fround(config.aggregation.l2Clip),
    weightCap: planWeightCap(config),
    lanes: lanesFor(config),
    cohortSize: config.cohort.maxSites,
    colluders: config.cohort.colluders,
    minCohort: config.cohort.minSites,
    firstStep,
    trainingWindowMs: Math.round(config.deadlines.trainingSeconds * 1000),
    stageWindowMs: Math.round(config.deadlines.stageSeconds * 1000),
    auditWitnesses,
    rosterVersion: roster?.version ?? 0,
    rosterDigest: new Uint8Array(Buffer.from(roster?.digest ?? "", "hex")),
    launchedBy,
  };
}
