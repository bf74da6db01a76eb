import type { Random } from "@consilium/shared/random.js";
import { type FeatureRows, type FeatureScaling, rowCount, usableDeviation } from "./feature-rows.js";
import { statisticRanges } from "./statistics.js";

/**
 * Before the first pass of federated k-means, sites need one scaling and first centroids. Both follow from the pooled means
 * and covariances, which are means over images that a masked mean carries.
 */

/** Columns of statistics. */
const width = statisticRanges.length;
const productCount = (width * (width + 1)) / 2;

/** Place of the product of two columns, row ≥ column, of a triangle that is stored row by row. */
const triangle = (row: number, column: number): number => (row * (row + 1)) / 2 + column;

/** Means over images: of the statistics in units of their ranges, so within [−1, 1], and of the products of any two. */
export interface Moments {
  readonly sums: Float64Array | Float32Array;
  readonly products: Float64Array | Float32Array;
}

/** A site's part. @param rows at least one; statistics as they are, not standardised */
export function momentsOf(rows: FeatureRows): Moments {
  const sums = new Float64Array(width);
  const products = new Float64Array(productCount);
  const row = new Float64Array(width);
  const share = 1 / rowCount(rows);
  for (let at = 0; at < rows.data.length; at += width) {
    for (let column = 0; column < width; column++) row[column] = unit(rows.data[at + column]!, column);
    for (let first = 0; first < width; first++) {
      sums[first]! += share * row[first]!;
      for (let second = 0; second <= first; second++) {
        products[triangle(first, second)]! += share * row[first]! * row[second]!;
      }
    }
  }
  return { sums, products };
}

function unit(value: number, column: number): number {
  return Math.max(-1, Math.min(1, value / statisticRanges[column]!));
}

export interface PooledMoments {
  readonly scaling: FeatureScaling;
  /** Of the standardised statistics, width × width. */
  readonly correlation: Float64Array;
}

/** @param moments mean of the sites' parts, weighted by images */
export function pooledMoments({ sums, products }: Moments): PooledMoments {
  const mean = Float64Array.from(sums);
  const covariance = (a: number, b: number) => {
    return products[triangle(Math.max(a, b), Math.min(a, b))]! - mean[a]! * mean[b]!;
  };
  const deviation = mean.map((value, column) => {
    return usableDeviation(Math.sqrt(Math.max(0, covariance(column, column))), value);
  });
  const correlation = Float64Array.from({ length: width * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    return covariance(row, column) / (deviation[row]! * deviation[column]!);
  });
  const inUnits = (values: Float64Array) => values.map((value, column) => value * statisticRanges[column]!);
  return { scaling: { mean: inUnits(mean), deviation: inUnits(deviation) }, correlation };
}

/** Added to the diagonal, so that statistics that determine each other, and rounding, leave it positive. */
const ridge = 1e-4;

/**
 * First centroids, drawn from the normal distribution of the pooled statistics: they lie where images lie, and are none.
 * @returns clusters × width, in deviations
 */
export function firstCentroids(
  { correlation }: PooledMoments,
  clusters: number,
  random: Random,
): Float64Array<ArrayBuffer> {
  const factor = cholesky(correlation);
  const centroids = new Float64Array(clusters * width);
  for (let at = 0; at < centroids.length; at += width) {
    const normal = Float64Array.from({ length: width }, () => random.normal());
    for (let row = 0; row < width; row++) {
      for (let column = 0; column <= row; column++)
        centroids[at + row]! += factor[row * width + column]! * normal[column]!;
    }
  }
  return centroids;
}

/** Lower factor of a symmetric matrix; a direction in which nothing varies has a factor of zero. */
function cholesky(matrix: Float64Array): Float64Array {
  const factor = new Float64Array(matrix.length);
  for (let row = 0; row < width; row++) {
    for (let column = 0; column <= row; column++) {
      let rest = matrix[row * width + column]! + (row === column ? ridge : 0);
      for (let before = 0; before < column; before++)
        rest -= factor[row * width + before]! * factor[column * width + before]!;
      const pivot = factor[column * width + column]!;
      factor[row * width + column] = row === column ? Math.sqrt(Math.max(0, rest)) : pivot === 0 ? 0 : rest / pivot;
    }
  }
  return factor;
}
