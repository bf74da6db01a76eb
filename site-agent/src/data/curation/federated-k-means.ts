import type { ClippedTensor } from "@consilium/shared/secagg/quantize.js";
import { type FeatureRows, rowCount } from "./feature-rows.js";
import { assignRows, memberSums } from "./k-means.js";

/**
 * Lloyd's k-means over the images of several sites, of which each sends only how many images each cell has and the sums of
 * their features: one vector for each pass, which the sites' masked sum carries, so that nobody sees a site's own. What the
 * sum is of, and the centroids, are those of the pooled images.
 */

/** What bounds a site's vector, so that it fits the fixed point of the masked sum. Known to all beforehand. */
export interface SumBounds {
  /** Images that the largest site may have; what the fixed point can tell apart grows with it. */
  readonly mostImages: number;
  /** Features are cut to this many deviations. */
  readonly featureLimit: number;
}

export interface SumShape {
  readonly clusters: number;
  readonly width: number;
}

/** The vector's parts, as the encoding of the masked sum takes them: sums of features cell by cell, then counts. */
export function sumTensors({ clusters, width }: SumShape, { mostImages, featureLimit }: SumBounds): ClippedTensor[] {
  return [
    { size: clusters * width, clip: mostImages * featureLimit },
    { size: clusters, clip: mostImages },
  ];
}

/** Cuts features to the limit, in place, before the first pass. */
export function limitFeatures({ data }: FeatureRows, { featureLimit }: Pick<SumBounds, "featureLimit">): void {
  for (let at = 0; at < data.length; at++) data[at] = Math.max(-featureLimit, Math.min(featureLimit, data[at]!));
}

/**
 * A site's part of a pass: the features of each cell's images summed, then the cells' counts; clusters × (width + 1) values.
 * @param rows standardised by the scaling that all sites have, and cut to the limit
 * @param centroids clusters × width
 */
export function sumsOf(rows: FeatureRows, centroids: Float64Array<ArrayBuffer>): Float64Array {
  const clusters = centroids.length / rows.width;
  const { assignment, counts } = assignRows(rows, centroids);
  const vector = new Float64Array(clusters * (rows.width + 1));
  vector.set(memberSums(rows, assignment, clusters));
  vector.set(counts, clusters * rows.width);
  return vector;
}

export interface NextCentroids {
  readonly centroids: Float64Array<ArrayBuffer>;
  /** Images of each cell over all sites. */
  readonly counts: Float64Array;
  /** Cells with too few images: their centroids stayed. */
  readonly suppressed: readonly number[];
}

/**
 * The pass's end, from the sum of all sites' vectors. A mean over few images would tell of these, so that a cell with less
 * than the minimum keeps its centroid.
 * @param sum of `sumsOf` over the sites; counts may be off by the rounding of a masked sum
 */
export function nextCentroids(
  sum: Float64Array,
  before: Float64Array<ArrayBuffer>,
  { minImages }: { minImages: number },
): NextCentroids {
  const clusters = sum.length - before.length;
  const width = before.length / clusters;
  const counts = sum.slice(before.length).map((count) => Math.max(0, Math.round(count)));
  const centroids = before.slice();
  const suppressed: number[] = [];
  for (const [cell, count] of counts.entries()) {
    if (count < Math.max(1, minImages)) suppressed.push(cell);
    else for (let at = cell * width; at < (cell + 1) * width; at++) centroids[at] = sum[at]! / count;
  }
  return { centroids, counts, suppressed };
}

/** The sum of several sites' vectors, in the clear: for one site with several sources, and for tests. */
export function addSums(vectors: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) for (let at = 0; at < sum.length; at++) sum[at]! += vector[at]!;
  return sum;
}

/** @returns whether a site's images fit the bounds */
export function fitsBounds(rows: FeatureRows, { mostImages, featureLimit }: SumBounds): boolean {
  return rowCount(rows) <= mostImages && rows.data.every((value) => Math.abs(value) <= featureLimit);
}
