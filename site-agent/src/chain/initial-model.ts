import { rm } from "node:fs/promises";
import { runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import { CheckpointReader } from "@consilium/shared/checkpoint/reader.js";
import { writeCheckpoint } from "@consilium/shared/checkpoint/writer.js";
import { initialBlocks } from "@consilium/shared/params/initialize.js";
import { SiteRefusal } from "../refusal.js";
import { hex, type RunTerms } from "./check-result.js";
import type { CheckpointCache, WantedCheckpoint } from "./checkpoint-cache.js";
import { ModelClause } from "./clauses.js";

export interface InitialModel {
  readonly run: RunTerms;
  readonly wanted: WantedCheckpoint;
}

/**
 * The model that a run begins with, as a path in the cache: worked out from the run's seed, or fetched where this site's
 * policy names its digest.
 * @throws SiteRefusal "model.initialDigests" for any other model, "model.aggregate" for values that are not finite
 */
export async function obtainInitial(cache: CheckpointCache, { run, wanted }: InitialModel): Promise<string> {
  const digest = hex(wanted.digest);
  if (!run.policy.model.initialDigests.includes(digest)) return drawInitial(cache, run, digest);
  const path = await cache.obtain(wanted);
  await requireFinite(path, run);
  return path;
}

async function drawInitial(cache: CheckpointCache, run: RunTerms, digest: string): Promise<string> {
  const { config, configJson, layout } = run;
  const header = { tensors: layout.parameters, dimension: layout.dimension, metadata: runMetadata(config, configJson) };
  const drawn = await writeCheckpoint(await cache.open(), header, initialBlocks(layout, config.seed));
  if (drawn.digest !== digest) await rm(drawn.path, { force: true });
  // site-check: initial-model
  if (drawn.digest !== digest) throw unapproved(digest);
  return cache.adopt(drawn);
}

async function requireFinite(path: string, { layout }: RunTerms): Promise<void> {
  const reader = await CheckpointReader.open(path, layout);
  try {
    const values = new Float32Array(2 ** 20);
    for (let first = 0; first < layout.dimension; first += values.length) {
      const block = values.subarray(0, Math.min(values.length, layout.dimension - first));
      await reader.read(block);
      // site-check: initial-finite
      if (!block.every(Number.isFinite)) throw new SiteRefusal(ModelClause.aggregate, "the first model is not finite");
    }
  } finally {
    await reader.close();
  }
}

function unapproved(digest: string): SiteRefusal {
  return new SiteRefusal(ModelClause.initial, `the run begins with the model ${digest}, which is not its seed's`, {
    remedy: "when you know where these weights come from, add the digest to model.initialDigests in policy.yaml",
  });
}
