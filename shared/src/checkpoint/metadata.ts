import { architectureName, type RunConfig } from "../config/run-config.js";
import type { RoundKey } from "../protocol.js";

/**
 * The text that a checkpoint carries beside its values. Part of its digest: coordinator and sites write the same.
 * `configJson` is the run's configuration, byte for byte as plans hold it.
 */

/** What a reader needs to rebuild the model, in every checkpoint of a run. */
export function runMetadata(config: RunConfig, configJson: string): Record<string, string> {
  return {
    format: "consilium-checkpoint-1",
    name: config.name,
    method: config.method.name,
    architecture: architectureName(config),
    config: configJson,
  };
}

/** How a checkpoint came from the one before it. */
export interface RoundLineage {
  readonly key: RoundKey;
  /** Digest of the checkpoint before, hex. */
  readonly parent: string;
  /** Sites in the sum, sorted. */
  readonly cohort: readonly string[];
  readonly weight: number;
  readonly serverOptimizer: string;
}

export function roundMetadata(run: Readonly<Record<string, string>>, lineage: RoundLineage): Record<string, string> {
  const { key, parent, cohort, weight, serverOptimizer } = lineage;
  return {
    ...run,
    parent,
    run: key.runId,
    round: String(key.round),
    attempt: String(key.attempt),
    cohort: cohort.join(","),
    weight: String(weight),
    aggregation: serverOptimizer,
  };
}
