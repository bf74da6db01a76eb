import { ConsiliumError } from "@consilium/shared/errors.js";
import type { KeyAdvert, RoundKey } from "@consilium/shared/protocol.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import { type CohortLanes, decodeLanes, type LaneName, parseLanes } from "@consilium/shared/secagg/lanes.js";
import { compareSiteIds, ringBoundOf, thresholdOf } from "@consilium/shared/secagg/protocol.js";
import { clippedTensors, type DeltaDecoding, decodeMean } from "@consilium/shared/secagg/quantize.js";
import { CheckpointReader, type TensorPlaces } from "../checkpoint/reader.js";
import { CheckpointWriter, type StoredCheckpoint } from "../checkpoint/writer.js";
import type { SiteReveals } from "../secagg/collect-shares.js";
import { remainingMasks } from "../secagg/reconstruct.js";
import { type ServerOptimizerName, serverOptimizer } from "./server-optimizer.js";
import { blockWords, type SpooledVector, UnmaskedSum } from "./sum.js";

/** Everything that turns an attempt's uploads into the next checkpoint. Plain data, so that a thread can do it. */
export interface FinishJob {
  readonly key: RoundKey;
  /** ctx of the plan, hex; see `planContext`. */
  readonly context: string;
  readonly layout: TensorPlaces;
  readonly tensorClips: readonly number[];
  readonly weightCap: number;
  readonly lanes: readonly string[];
  readonly colluders: number;
  /** U1, U2 and U3 in any order. */
  readonly adverts: readonly KeyAdvert[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  /** At least those of the survivors; others are not read. */
  readonly uploads: readonly SpooledVector[];
  readonly reveals: readonly SiteReveals[];
  readonly previousCheckpointPath: string;
  /** Hex; the file is checked against it while it is read. */
  readonly previousDigest: string;
  readonly outputDirectory: string;
  readonly serverOptimizer: ServerOptimizerName;
  /** Goes into the checkpoint beside parent, run, round, attempt, cohort, weight and aggregation. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FinishedRound extends StoredCheckpoint {
  readonly lanes: CohortLanes;
  /** L2 norm of the mean delta. */
  readonly deltaNorm: number;
  /** Sites that revealed something false, though the sum could be unmasked without them. */
  readonly blamed: readonly string[];
}

function survivingVectors({ uploads, survivors }: FinishJob): SpooledVector[] {
  return survivors.map((site) => {
    const vector = uploads.find((upload) => upload.siteId === site);
    if (vector === undefined) throw new ConsiliumError("internal", `no masked vector of survivor ${site} is there`);
    return vector;
  });
}

function metadataOf(job: FinishJob, lanes: CohortLanes): Record<string, string> {
  return {
    ...job.metadata,
    parent: job.previousDigest,
    run: job.key.runId,
    round: String(job.key.round),
    attempt: String(job.key.attempt),
    cohort: [...job.survivors].sort(compareSiteIds).join(","),
    weight: String(lanes.weight),
    aggregation: job.serverOptimizer,
  };
}

interface Streams {
  readonly sum: UnmaskedSum;
  readonly previous: CheckpointReader;
  readonly next: CheckpointWriter;
}

/** One pass over the vector. @returns L2 norm of the mean delta */
async function writeBlocks(job: FinishJob, decoding: DeltaDecoding, { sum, previous, next }: Streams): Promise<number> {
  const optimizer = serverOptimizer(job.serverOptimizer);
  const { dimension } = job.layout;
  const parameters = new Float32Array(blockWords);
  const means = new Float32Array(blockWords);
  let squares = 0;
  for (let first = 0; first < dimension; first += blockWords) {
    const count = Math.min(blockWords, dimension - first);
    const block = parameters.subarray(0, count);
    const mean = means.subarray(0, count);
    squares += decodeMean(await sum.range(first, count), first, mean, decoding);
    await previous.read(block);
    optimizer.apply(block, mean, block);
    await next.write(block);
  }
  if (previous.digest() !== job.previousDigest) {
    throw new ConsiliumError("digest-mismatch", `the checkpoint ${job.previousCheckpointPath} was damaged on disk`, {
      remedy: "restore the file from a backup, or resume the run from an earlier checkpoint",
    });
  }
  return Math.sqrt(squares);
}

interface Decoded {
  readonly names: readonly LaneName[];
  readonly ringBound: number;
}

/** The lanes lie behind the parameters but come first: the weight is needed to decode the rest. */
async function readLanes(job: FinishJob, sum: UnmaskedSum, { names, ringBound }: Decoded): Promise<CohortLanes> {
  const { dimension } = job.layout;
  const sums = await sum.range(dimension, names.length);
  const survivors = job.survivors.length;
  return decodeLanes(names, sums, { weightCap: job.weightCap, ringBound, survivors, dimension });
}

async function writeNext(job: FinishJob, sum: UnmaskedSum, decoded: Decoded): Promise<Omit<FinishedRound, "blamed">> {
  const lanes = await readLanes(job, sum, decoded);
  const decoding: DeltaDecoding = {
    tensors: clippedTensors(
      job.layout.parameters.map(({ size }) => size),
      job.tensorClips,
    ),
    ringBound: decoded.ringBound,
    weightShareSum: lanes.weight / job.weightCap,
    survivors: job.survivors.length,
  };
  const previous = await CheckpointReader.open(job.previousCheckpointPath, job.layout);
  try {
    const header = { tensors: job.layout.parameters, metadata: metadataOf(job, lanes) };
    const next = await CheckpointWriter.begin(job.outputDirectory, header);
    try {
      const deltaNorm = await writeBlocks(job, decoding, { sum, previous, next });
      return { ...(await next.commit()), lanes, deltaNorm };
    } finally {
      await next.discard();
    }
  } finally {
    await previous.close();
  }
}

/**
 * Sums the survivors' vectors, takes off the masks that are left, and stores the checkpoint that follows. Reads and
 * writes block by block; memory depends neither on the number of sites nor of parameters.
 * @throws UnmaskFailedError when the reveals do not open the sum
 * @throws ConsiliumError "aggregate-invalid" when the sum is not one of honest sites, "digest-mismatch" for a damaged
 * previous checkpoint, "storage" when the disk fails
 */
export async function finishRound(job: FinishJob): Promise<FinishedRound> {
  const context = Buffer.from(job.context, "hex");
  const names = parseLanes(job.lanes);
  const adverts = sortAdverts(job.adverts);
  const { masks, blamed } = remainingMasks({
    adverts,
    sharers: job.sharers,
    survivors: job.survivors,
    reveals: job.reveals,
    binding: { context, advertsDigest: advertsDigest(adverts) },
    threshold: thresholdOf(adverts.length, job.colluders),
  });
  const words = job.layout.dimension + names.length;
  const sum = await UnmaskedSum.open(survivingVectors(job), words, masks);
  try {
    return { ...(await writeNext(job, sum, { names, ringBound: ringBoundOf(adverts.length) })), blamed };
  } finally {
    await sum.close();
  }
}
