import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Random } from "@consilium/shared/random.js";
import { type FeatureRows, rowCount } from "./feature-rows.js";
import { seedCentroids } from "./k-means-seeds.js";
import { nearestCentroid } from "./nearest-centroid.js";

export interface Clustering {
  /** Row by row: clusters × width. */
  readonly centroids: Float64Array<ArrayBuffer>;
  /** Index of each row's nearest centroid. */
  readonly assignment: Int32Array;
  /** Rows of each cluster. */
  readonly counts: Int32Array;
  /** Sum of the squared distances of the rows from their centroids. */
  readonly inertia: number;
  /** Passes over the rows, or batches. */
  readonly iterations: number;
}

export interface KMeansOptions {
  readonly clusters: number;
  readonly random: Random;
  /** Starts from other seeds, of which the one with the smallest inertia is kept. */
  readonly restarts?: number;
  readonly maxIterations?: number;
  /** Ends when the centroids moved, in squares summed over all, by less than this share of the mean variance. */
  readonly tolerance?: number;
}

/** @throws ConsiliumError "not-enough-data" */
function requireRows(rows: FeatureRows, clusters: number): void {
  const count = rowCount(rows);
  if (count >= clusters) return;
  throw new ConsiliumError("not-enough-data", `${count} patches are too few for ${clusters} clusters`, {
    remedy: "ask for fewer clusters or more patches",
  });
}

/**
 * Lloyd's k-means from k-means++ seeds, decided by the generator alone. A cluster that loses all its rows goes on at the
 * row that is farthest from its centroid.
 * @param rows standardised, or in units that may be compared
 * @throws ConsiliumError "not-enough-data" for fewer rows than clusters
 */
export function kMeans(rows: FeatureRows, options: KMeansOptions): Clustering {
  requireRows(rows, options.clusters);
  let best: Clustering | undefined;
  for (let start = 0; start < (options.restarts ?? 1); start++) {
    const found = lloyd(rows, options);
    if (best === undefined || found.inertia < best.inertia) best = found;
  }
  return best!;
}

function lloyd(rows: FeatureRows, { clusters, random, maxIterations = 300, tolerance = 1e-4 }: KMeansOptions) {
  let centroids = seedCentroids(rows, clusters, random);
  let found = assign(rows, centroids);
  const enough = tolerance * meanVariance(rows);
  let iterations = 1;
  for (let moved = Number.POSITIVE_INFINITY; moved > enough && iterations < maxIterations; iterations++) {
    const next = centroidsOf(rows, found, centroids);
    moved = squaredMove(next, centroids);
    centroids = next;
    found = assign(rows, centroids, found.assignment);
  }
  return { centroids, ...found, iterations };
}

interface Assigned {
  readonly assignment: Int32Array;
  readonly distances: Float32Array;
  readonly counts: Int32Array;
  readonly inertia: number;
}

function assign(rows: FeatureRows, centroids: Float64Array, before?: Int32Array): Assigned {
  const length = rowCount(rows);
  const assignment = before ?? new Int32Array(length);
  const distances = new Float32Array(length);
  const counts = new Int32Array(centroids.length / rows.width);
  let inertia = 0;
  for (let row = 0; row < length; row++) {
    const { centroid, distance } = nearestCentroid(rows, row, centroids, assignment[row]!);
    assignment[row] = centroid;
    distances[row] = distance;
    counts[centroid]!++;
    inertia += distance;
  }
  return { assignment, distances, counts, inertia };
}

/** Assigns every row to the nearest of centroids that are given. */
export function assignRows(rows: FeatureRows, centroids: Float64Array<ArrayBuffer>): Clustering {
  return { centroids, ...assign(rows, centroids), iterations: 0 };
}

/** Sums of the members' rows, row by row for each cluster. */
export function memberSums(
  { data, width }: FeatureRows,
  assignment: Int32Array,
  clusters: number,
): Float64Array<ArrayBuffer> {
  const sums = new Float64Array(clusters * width);
  for (let row = 0, at = 0; row < assignment.length; row++, at += width) {
    const to = assignment[row]! * width;
    for (let column = 0; column < width; column++) sums[to + column]! += data[at + column]!;
  }
  return sums;
}

function centroidsOf(rows: FeatureRows, { assignment, distances, counts }: Assigned, centroids: Float64Array) {
  const { data, width } = rows;
  const next = memberSums(rows, assignment, counts.length);
  for (let at = 0; at < next.length; at++) next[at]! /= counts[Math.floor(at / width)]! || 1;
  for (const cluster of counts.keys()) {
    if (counts[cluster] !== 0) continue;
    const row = farthest(distances);
    next.set(
      row === undefined ? centroids.subarray(cluster * width, (cluster + 1) * width) : rowOf(data, row, width),
      cluster * width,
    );
    // So that the next empty cluster takes another row.
    if (row !== undefined) distances[row] = 0;
  }
  return next;
}

const rowOf = (data: Float32Array, row: number, width: number) => data.subarray(row * width, (row + 1) * width);

/** @returns undefined when every row is its own centroid */
function farthest(distances: Float32Array): number | undefined {
  let at: number | undefined;
  for (let row = 0; row < distances.length; row++) {
    if (distances[row]! > (at === undefined ? 0 : distances[at]!)) at = row;
  }
  return at;
}

function squaredMove(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at]! - b[at]!) ** 2;
  return sum;
}

function meanVariance({ data, width }: FeatureRows): number {
  let variance = 0;
  for (let column = 0; column < width; column++) {
    let [sum, squares] = [0, 0];
    for (let at = column; at < data.length; at += width) {
      sum += data[at]!;
      squares += data[at]! ** 2;
    }
    const count = data.length / width;
    variance += squares / count - (sum / count) ** 2;
  }
  return variance / width;
}
