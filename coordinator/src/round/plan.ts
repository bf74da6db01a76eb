import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import type { AuditWitness, RoundKey, RoundPlan } from "@consilium/shared/protocol.js";

export interface PlanFacts {
  readonly federation: string;
  readonly key: RoundKey;
  readonly config: RunConfig;
  /** The same as it was launched, byte for byte: what people approved, and what checkpoints carry. */
  readonly configJson: string;
  readonly layout: ParameterLayout;
  readonly checkpoint: { readonly digest: Uint8Array; readonly bytes: number };
  /** Of the round before; empty in the first. */
  readonly previousResultDigest: Uint8Array;
  /** Asks nothing of anyone: each site finds its own and compares. */
  readonly auditWitnesses: readonly AuditWitness[];
  /** The roster that the cohort is chosen by. */
  readonly roster: { readonly version: number; readonly digest: string } | undefined;
  /** URI of the certificate of whoever launched the run. */
  readonly launchedBy: string;
}

/** What an attempt asks of its cohort; a function of the run and the round, never of who takes part. Rounds count from 1. */
export function buildPlan(facts: PlanFacts): RoundPlan {
  const {
    federation,
    key,
    config,
    configJson,
    layout,
    checkpoint,
    previousResultDigest,
    auditWitnesses,
    roster,
    launchedBy,
  } = facts;
  return {
    ...planTerms(config, layout, key.round),
    federation,
    key,
    runConfigJson: configJson,
    checkpointDigest: checkpoint.digest,
    checkpointBytes: checkpoint.bytes,
    layoutDigest: layout.digest,
    dimension: layout.dimension,
    previousResultDigest,
    auditWitnesses,
    rosterVersion: roster?.version ?? 0,
    rosterDigest: new Uint8Array(Buffer.from(roster?.digest ?? "", "hex")),
    launchedBy,
  };
}
