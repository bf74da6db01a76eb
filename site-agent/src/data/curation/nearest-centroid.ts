import type { FeatureRows } from "./feature-rows.js";

export interface Nearest {
  readonly centroid: number;
  /** Euclidean, squared. */
  readonly distance: number;
}

/** Squared Euclidean distance of two rows. */
export function squaredDistance(
  a: Float32Array | Float64Array,
  aAt: number,
  b: Float32Array | Float64Array,
  bAt: number,
  width: number,
): number {
  let sum = 0;
  for (let column = 0; column < width; column++) {
    const difference = a[aAt + column]! - b[bAt + column]!;
    sum += difference * difference;
  }
  return sum;
}

/** Columns after which a distance that is too large already is given up. */
const stride = 9;

/** As `squaredDistance`, or some number above `enough` when the distance is above it. */
function distanceBelow(
  row: Float32Array,
  rowAt: number,
  centroids: Float64Array,
  at: number,
  width: number,
  enough: number,
): number {
  let sum = 0;
  for (let from = 0; from < width && sum <= enough; from += stride) {
    const to = Math.min(width, from + stride);
    for (let column = from; column < to; column++) {
      const difference = row[rowAt + column]! - centroids[at + column]!;
      sum += difference * difference;
    }
  }
  return sum;
}

/**
 * The nearest of the centroids, row by row of `centroids`; of equally near ones the first.
 * @param guess a centroid that is likely near: the search begins there
 */
export function nearestCentroid(
  { data, width }: FeatureRows,
  row: number,
  centroids: Float64Array,
  guess = 0,
): Nearest {
  const rowAt = row * width;
  let centroid = guess;
  let distance = squaredDistance(data, rowAt, centroids, guess * width, width);
  for (let candidate = 0, at = 0; at < centroids.length; candidate++, at += width) {
    if (candidate === guess) continue;
    const other = distanceBelow(data, rowAt, centroids, at, width, distance);
    if (other < distance || (other === distance && candidate < centroid)) {
      centroid = candidate;
      distance = other;
    }
  }
  return { centroid, distance };
}
