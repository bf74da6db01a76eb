import { AbortedError } from "@consilium/shared/errors.js";
import { randomFor } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { mapLimited } from "../limiter.js";
import { UnreadableImage } from "../source.js";
import { type CellModel, cellModel } from "./cell-model.js";
import { type FeatureRows, rowCount, scalingOf, standardise } from "./feature-rows.js";
import type { ItemCell } from "./item-cells.js";
import { assignRows, type Clustering, kMeans } from "./k-means.js";
import type { ListedImages } from "./listed-images.js";
import { miniBatchKMeans } from "./mini-batch-k-means.js";
import { squaredDistance } from "./nearest-centroid.js";
import { hashBytes, nearDuplicates, perceptualHash } from "./perceptual-hash.js";
import { statisticCount, writeStatistics } from "./statistics.js";

export interface ReadImagesOptions extends ListedImages {
  /** Images that are read at the same time. */
  readonly concurrency: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface FindClustersOptions extends ReadImagesOptions {
  /** Cells of k-means. */
  readonly count: number;
  readonly seed: number;
}

export interface FoundClusters {
  readonly model: CellModel;
  /** Of every readable image. */
  readonly items: Iterable<ItemCell>;
  /** Images of each cell. */
  readonly counts: Int32Array;
  readonly copies: number;
  readonly unreadable: number;
}

/** Rows up to which whole passes are worth their time. */
const mostForPasses = 50_000;
const mostRestarts = 10;

/**
 * Reads every image and finds groups of like colours.
 * @throws ConsiliumError "not-enough-data" for fewer readable images than cells, "input-unreadable"; AbortedError
 */
export async function findClusters(options: FindClustersOptions): Promise<FoundClusters> {
  const { count, seed } = options;
  const read = await readFeatures(options);
  const rows: FeatureRows = { data: read.statistics, width: statisticCount };
  const scaling = rowCount(rows) === 0 ? { mean: [], deviation: [] } : scalingOf(rows);
  if (rowCount(rows) > 0) standardise(rows, scalingOf(rows));
  const found = clusterRows(rows, { clusters: count, random: randomFor("clusters", seed) });
  const centroids = Array.from({ length: count }, (_, cell) => [...centroidOf(found, cell)]);
  const model = cellModel({ seed, mean: [...scaling.mean], deviation: [...scaling.deviation], centroids });
  return foundClusters(options, { model, rows, read, found });
}

/**
 * Reads every image and finds its cell among those of a model, such as the federation's.
 * @throws ConsiliumError "input-unreadable"; AbortedError
 */
export async function assignImages(options: ReadImagesOptions, model: CellModel): Promise<FoundClusters> {
  const read = await readFeatures(options);
  const rows: FeatureRows = { data: read.statistics, width: statisticCount };
  standardise(rows, { mean: Float64Array.from(model.mean), deviation: Float64Array.from(model.deviation) });
  const found = assignRows(rows, Float64Array.from(model.centroids.flat()));
  return foundClusters(options, { model, rows, read, found });
}

function foundClusters(images: ListedImages, { model, ...result }: Omit<Found, "copies"> & { model: CellModel }) {
  const copies = copiesOf(result.read.hashes);
  return {
    model,
    items: itemCells(images, { ...result, copies }),
    counts: result.found.counts,
    copies: copies.reduce((sum, copy) => sum + copy, 0),
    unreadable: images.items.length - result.read.places.length,
  };
}

function centroidOf({ centroids }: Clustering, cell: number): Float64Array {
  return centroids.subarray(cell * statisticCount, (cell + 1) * statisticCount);
}

function clusterRows(rows: FeatureRows, options: Parameters<typeof miniBatchKMeans>[1]): Clustering {
  const count = rowCount(rows);
  if (count > mostForPasses) return miniBatchKMeans(rows, options);
  const restarts = Math.min(mostRestarts, Math.max(1, Math.floor(mostForPasses / Math.max(1, count))));
  return kMeans(rows, { ...options, restarts });
}

interface Features {
  /** Index in the list of each image that could be read. */
  readonly places: Int32Array;
  readonly statistics: Float32Array;
  readonly hashes: Uint8Array;
}

async function readFeatures(options: ReadImagesOptions): Promise<Features> {
  const { items, concurrency, onProgress, signal } = options;
  const statistics = new Float32Array(items.length * statisticCount);
  const hashes = new Uint8Array(items.length * hashBytes);
  const readable = new Uint8Array(items.length);
  let done = 0;
  await mapLimited(Array.from({ length: concurrency }), concurrency, async (_, lane) => {
    for (let at = lane; at < items.length; at += concurrency) {
      if (signal?.aborted) throw new AbortedError();
      const image = await readOrSkip(options, at);
      if (image !== undefined) {
        writeStatistics(image, statistics, at * statisticCount);
        hashes.set(perceptualHash(image), at * hashBytes);
        readable[at] = 1;
      }
      onProgress?.(++done, items.length);
    }
  });
  return closedUp({ readable, statistics, hashes });
}

async function readOrSkip({ source, items }: ListedImages, at: number): Promise<RgbImage | undefined> {
  try {
    return await source.read(items.at(at));
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    return undefined;
  }
}

/** Moves the rows of readable images together, in place. */
function closedUp({ readable, statistics, hashes }: Omit<Features, "places"> & { readable: Uint8Array }): Features {
  const places = Int32Array.from(readable.keys()).filter((at) => readable[at] === 1);
  for (const [row, at] of places.entries()) {
    statistics.copyWithin(row * statisticCount, at * statisticCount, (at + 1) * statisticCount);
    hashes.copyWithin(row * hashBytes, at * hashBytes, (at + 1) * hashBytes);
  }
  return {
    places,
    statistics: statistics.subarray(0, places.length * statisticCount),
    hashes: hashes.subarray(0, places.length * hashBytes),
  };
}

/** 1 for every image that looks like one before it. */
function copiesOf(hashes: Uint8Array): Uint8Array {
  const copies = new Uint8Array(hashes.length / hashBytes);
  for (const [, ...rest] of nearDuplicates(hashes)) for (const row of rest) copies[row] = 1;
  return copies;
}

interface Found {
  readonly rows: FeatureRows;
  readonly read: Features;
  readonly found: Clustering;
  readonly copies: Uint8Array;
}

function* itemCells({ items }: ListedImages, { rows, read, found, copies }: Found): Generator<ItemCell> {
  const { data, width } = rows;
  for (const [row, place] of read.places.entries()) {
    const cell = found.assignment[row]!;
    const distance = Math.sqrt(squaredDistance(data, row * width, found.centroids, cell * width, width));
    yield { id: items.at(place).id, cell, distance, copy: copies[row] === 1 };
  }
}
