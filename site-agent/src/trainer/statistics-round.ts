import { join } from "node:path";
import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { clusterRound, type PooledState } from "../data/curation/cluster-round.js";
import { rowCount } from "../data/curation/feature-rows.js";
import { readCheckpoint } from "./checkpoint-vector.js";
import { deltaPath, removeOtherDeltas, writeDelta } from "./delta-file.js";
import { runDirectory } from "./local-state.js";
import type { CheckedJob, TrainedRound, TrainOptions } from "./protocol.js";
import { siteRows } from "./statistics-rows.js";

/**
 * A round of a run of clusters: no engine and no steps, and nothing to go on with but the statistics that were read. The
 * same images and checkpoint give the same delta again: first centroids are drawn from the run's seed alone, since every
 * site must work out the same, and nothing else is drawn, so that the job's `drawSeed` has no part here.
 * @throws ConsiliumError "not-enough-data", "input-unreadable", "config-invalid" where the site allows no statistics,
 *   "storage"; AbortedError
 */
export async function statisticsRound(
  job: CheckedJob,
  method: MethodOf<"clusters">,
  { onProgress, signal }: TrainOptions,
): Promise<TrainedRound> {
  const { config, round, minCell } = job;
  if (minCell === undefined) throw notAllowed();
  onProgress?.({ phase: "preparing", step: 0, steps: 1 });
  const beganAt = performance.now();
  const directory = await runDirectory(job.stateDirectory, job.runId);
  const { rows, skipped } = await siteRows({
    ...{ settings: job.data, cachePath: join(directory, "statistics.bin") },
    ...(signal === undefined ? {} : { signal }),
  });
  const images = rowCount(rows);
  const checkpoint = await pooledState(job);
  const { vector, loss } = clusterRound({ run: { method, seed: config.seed }, checkpoint, rows, minCell });
  onProgress?.({ phase: "saving", step: 1, steps: 1, loss });
  const delta = await writeDelta(deltaPath(directory, round), { trained: vector, checkpoint: checkpoint.vector });
  await removeOtherDeltas(directory, round);
  return {
    ...{ deltaPath: delta.path, deltaDigest: delta.digest, sampleCount: images, skipped },
    ...{ meanLoss: loss, figures: {}, steps: 1 },
    imagesPerSecond: (1000 * images) / Math.max(1, performance.now() - beganAt),
  };
}

/** The checkpoint that the round starts from, which is that of the round before. */
async function pooledState({ checkpointPath, config, round }: CheckedJob): Promise<PooledState> {
  const { vector } = await readCheckpoint(checkpointPath, checkpointLayout(config));
  const { metadata } = await readSafetensors(checkpointPath);
  return { vector, round: round - 1, images: Number(metadata["weight"] ?? 0) };
}

function notAllowed(): ConsiliumError {
  return new ConsiliumError("config-invalid", "this site's policy does not let statistics of its images travel", {
    remedy: "set egress.statistics to allow in policy.yaml",
  });
}
