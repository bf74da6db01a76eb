import { CheckpointReader, type TensorPlaces } from "../checkpoint/reader.js";
import { CheckpointWriter, type StoredCheckpoint } from "../checkpoint/writer.js";
import { ConsiliumError } from "../errors.js";
import type { SiteNoise } from "../privacy/site-mechanism.js";
import { type CohortLanes, decodeLanes, parseLanes } from "../secagg/lanes.js";
import { ringBoundOf } from "../secagg/protocol.js";
import { clippedTensors, type DeltaDecoding, decodeMean } from "../secagg/quantize.js";
import { type ServerOptimizerName, serverOptimizer } from "./server-optimizer.js";

/**
 * From a round's sum to the next checkpoint. The coordinator does this once, and every site does it again before it
 * trains on the result: the same sum and checkpoint give the same bytes.
 */

/** 4 MiB of each vector at a time, however many sites and parameters there are. */
export const blockWords = 2 ** 20;

/** What turns sums in the ring back into means. */
export interface AggregateTerms {
  /** Largest magnitude of one coordinate of each tensor's delta, in layout order. */
  readonly tensorClips: readonly number[];
  readonly weightCap: number;
  /** Names of the lanes that follow the parameters. */
  readonly lanes: readonly string[];
  /** Sites that advertised keys, |U1|: the ring has room for this many. */
  readonly advertisers: number;
  /** Sites in the sum, |U3|. */
  readonly survivors: number;
  /** Of a run that hides sites: what each of them added to its update. */
  readonly noise?: SiteNoise | undefined;
}

/** Parameters, then lanes, as signed words. What `range` gives is valid until the next call. */
export interface SumSource {
  range(first: number, count: number): Promise<Int32Array>;
}

/** One stretch of the vector; valid until the watcher has returned. */
export interface AggregateBlock {
  readonly first: number;
  readonly sums: Int32Array;
  /** Of the sites' deltas. */
  readonly mean: Float32Array;
  readonly next: Float32Array;
}

export interface AggregateTotals {
  readonly lanes: CohortLanes;
  /** L2 norm of the mean delta. */
  readonly deltaNorm: number;
}

/** Sees a checkpoint come about; what it throws keeps it from being stored. */
export interface AggregateWatch {
  block(block: AggregateBlock): void | Promise<void>;
  /** After the last block. */
  finish(totals: AggregateTotals): void | Promise<void>;
}

export interface NextCheckpointJob {
  readonly layout: TensorPlaces;
  readonly terms: AggregateTerms;
  readonly sums: SumSource;
  /** Hex digest of the checkpoint before; the file is checked against it while it is read. */
  readonly previous: { readonly path: string; readonly digest: string };
  readonly serverOptimizer: ServerOptimizerName;
  readonly outputDirectory: string;
  readonly metadataOf: (lanes: CohortLanes) => Readonly<Record<string, string>>;
  readonly watch: AggregateWatch;
}

/** Noise beyond so many of its standard deviations is taken for a broken sum. */
const noiseDeviations = 8;

/** Standard deviation of a sum's noise, in whole numbers; 0 without noise. */
export function noiseDeviation({ noise, survivors }: Pick<AggregateTerms, "noise" | "survivors">): number {
  return noise === undefined ? 0 : Math.sqrt(survivors * noise.shareVariance);
}

/** How the sums of a round decode, given what its lanes say of the weight. */
export function decodingOf(layout: TensorPlaces, terms: AggregateTerms, weight: number): DeltaDecoding {
  return {
    tensors: clippedTensors(
      layout.parameters.map(({ size }) => size),
      terms.tensorClips,
    ),
    ringBound: terms.noise?.scale ?? ringBoundOf(terms.advertisers),
    weightShareSum: weight / terms.weightCap,
    survivors: terms.survivors,
    noise: noiseDeviations * noiseDeviation(terms),
  };
}

/** The norm of d normal values is above √d by more than this once in 10¹³. */
const normDeviations = 8;

/**
 * What rounding and noise at the sites can add to the norm of the mean delta. No false sum within it can be told from
 * noise.
 */
export function roundingNorm(layout: TensorPlaces, terms: AggregateTerms, weight: number): number {
  const { tensors, ringBound, weightShareSum, survivors } = decodingOf(layout, terms, weight);
  const unit = 1 / (ringBound * weightShareSum);
  const rounding = Math.sqrt(tensors.reduce((sum, { size, clip }) => sum + size * (clip * unit * survivors) ** 2, 0));
  const deviation = (terms.noise?.clip ?? 0) * unit * noiseDeviation(terms);
  return rounding + deviation * (Math.sqrt(layout.dimension) + normDeviations);
}

/** Single precision in the sites' own clipping. */
export const clippingSlack = 1 + 1e-6;

/** The lanes lie behind the parameters but come first: the weight is needed to decode the rest. */
async function readLanes({ layout, terms, sums }: NextCheckpointJob): Promise<CohortLanes> {
  const { dimension } = layout;
  const names = parseLanes(terms.lanes);
  const { weightCap, survivors } = terms;
  const ringBound = ringBoundOf(terms.advertisers);
  return decodeLanes(names, await sums.range(dimension, names.length), { weightCap, ringBound, survivors, dimension });
}

interface Streams {
  readonly previous: CheckpointReader;
  readonly next: CheckpointWriter;
}

/** One pass over the vector. @returns L2 norm of the mean delta */
async function writeBlocks(
  job: NextCheckpointJob,
  decoding: DeltaDecoding,
  { previous, next }: Streams,
): Promise<number> {
  const optimizer = serverOptimizer(job.serverOptimizer);
  const { dimension } = job.layout;
  const parameters = new Float32Array(blockWords);
  const means = new Float32Array(blockWords);
  let squares = 0;
  for (let first = 0; first < dimension; first += blockWords) {
    const count = Math.min(blockWords, dimension - first);
    const block = parameters.subarray(0, count);
    const mean = means.subarray(0, count);
    const [sums] = await Promise.all([job.sums.range(first, count), previous.read(block)]);
    squares += decodeMean(sums, first, mean, decoding);
    optimizer.apply(block, mean, block);
    await job.watch.block({ first, sums, mean, next: block });
    await next.write(block);
  }
  if (previous.digest() !== job.previous.digest) {
    throw new ConsiliumError("digest-mismatch", `the checkpoint ${job.previous.path} was damaged on disk`, {
      remedy: "restore the file from a backup, or resume the run from an earlier checkpoint",
    });
  }
  return Math.sqrt(squares);
}

/**
 * Writes the checkpoint that follows from a sum, block by block: memory depends on the number neither of sites nor of
 * parameters.
 * @throws ConsiliumError "aggregate-invalid" when the sum is not one of honest sites, "plan-invalid" for terms that do
 * not fit the layout, "digest-mismatch" for a damaged previous checkpoint, "storage" when the disk fails; and whatever
 * the watch throws
 */
export async function writeNextCheckpoint(job: NextCheckpointJob): Promise<StoredCheckpoint & AggregateTotals> {
  const lanes = await readLanes(job);
  const decoding = decodingOf(job.layout, job.terms, lanes.weight);
  const previous = await CheckpointReader.open(job.previous.path, job.layout);
  try {
    const header = { tensors: job.layout.parameters, metadata: job.metadataOf(lanes) };
    const next = await CheckpointWriter.begin(job.outputDirectory, header);
    try {
      const totals = { lanes, deltaNorm: await writeBlocks(job, decoding, { previous, next }) };
      await job.watch.finish(totals);
      return { ...(await next.commit()), ...totals };
    } finally {
      await next.discard();
    }
  } finally {
    await previous.close();
  }
}
