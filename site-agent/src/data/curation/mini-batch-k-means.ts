import type { Random } from "@consilium/shared/random.js";
import { type FeatureRows, rowCount } from "./feature-rows.js";
import { assignRows, type Clustering, kMeans } from "./k-means.js";
import { nearestCentroid } from "./nearest-centroid.js";

export interface MiniBatchOptions {
  readonly clusters: number;
  readonly random: Random;
  readonly batchSize?: number;
  readonly batches?: number;
}

/** Rows of the sample on which the first centroids are found. */
const sampleSize = 20_000;

/**
 * Sculley's mini-batch k-means (2010): each row of a batch draws its centroid towards itself by one over the rows that the
 * centroid has had. For more rows than full passes are worth; the first centroids are those of a sample, by Lloyd's
 * k-means. Decided by the generator alone.
 * @throws ConsiliumError "not-enough-data" for fewer rows than clusters
 */
export function miniBatchKMeans(
  rows: FeatureRows,
  { clusters, random, batchSize = 4096, batches = 200 }: MiniBatchOptions,
): Clustering {
  const sample = sampleOf(rows, Math.max(sampleSize, 20 * clusters), random);
  const first = kMeans(sample, { clusters, random, maxIterations: 50 });
  const { centroids } = first;
  const seen = Float64Array.from(first.counts, (count) => Math.max(1, count));
  for (let batch = 0; batch < batches; batch++) {
    const drawn = Int32Array.from({ length: batchSize }, () => random.integer(rowCount(rows)));
    // The whole batch is assigned before any centroid moves.
    const nearest = drawn.map((row) => nearestCentroid(rows, row, centroids).centroid);
    for (const [index, row] of drawn.entries()) attract(centroids, nearest[index]!, rows, row, seen);
  }
  return { ...assignRows(rows, centroids), iterations: batches };
}

function attract(
  centroids: Float64Array,
  cluster: number,
  { data, width }: FeatureRows,
  row: number,
  seen: Float64Array,
) {
  const rate = 1 / ++seen[cluster]!;
  for (let column = 0; column < width; column++) {
    const at = cluster * width + column;
    centroids[at]! += rate * (data[row * width + column]! - centroids[at]!);
  }
}

function sampleOf(rows: FeatureRows, size: number, random: Random): FeatureRows {
  const { data, width } = rows;
  const count = rowCount(rows);
  if (count <= size) return rows;
  const sample = new Float32Array(size * width);
  for (let at = 0; at < sample.length; at += width) {
    const row = random.integer(count);
    sample.set(data.subarray(row * width, (row + 1) * width), at);
  }
  return { data: sample, width };
}
