import { type FeatureRows, rowCount } from "./feature-rows.js";
import { assignRows, memberSums } from "./k-means.js";

/**
 * Lloyd's k-means over the images of several sites, of which each sends only how large a share of its images each cell has
 * and the sums of their features, which the sites' masked mean carries, so that nobody sees a site's own. The mean weighted
 * by images is that of the pooled images, and so are the centroids.
 */

/** Cuts features to the limit, in place, so that what a site sends is bounded. */
export function limitFeatures({ data }: FeatureRows, featureLimit: number): void {
  for (let at = 0; at < data.length; at++) data[at] = Math.max(-featureLimit, Math.min(featureLimit, data[at]!));
}

/** Each a mean over images. */
export interface CellStatistics {
  /** Features of each cell's images, clusters × width. */
  readonly sums: Float64Array | Float32Array;
  /** Share of the images in each cell. */
  readonly counts: Float64Array | Float32Array;
}

/** A site's part of a pass; `inertia` is the mean squared distance of its images from their centroids. */
export type SitePass = CellStatistics & { readonly inertia: number };

/**
 * @param rows at least one, standardised by the scaling that all sites have, and cut to the limit
 * @param centroids clusters × width
 * @param minCell cells with fewer of the site's images are left out of sums and counts
 */
export function sitePass(
  rows: FeatureRows,
  centroids: Float64Array<ArrayBuffer>,
  { minCell }: { minCell: number },
): SitePass {
  const images = rowCount(rows);
  const { assignment, counts, inertia } = assignRows(rows, centroids);
  const sums = memberSums(rows, assignment, counts.length);
  const kept = (cell: number) => counts[cell]! >= minCell;
  return {
    sums: sums.map((sum, at) => (kept(Math.floor(at / rows.width)) ? sum / images : 0)),
    counts: Float64Array.from(counts, (count, cell) => (kept(cell) ? count / images : 0)),
    inertia: inertia / images,
  };
}

export interface PooledPass extends CellStatistics {
  /** Over all sites. */
  readonly images: number;
  /** By which the images were assigned. */
  readonly before: Float64Array<ArrayBuffer>;
}

/**
 * The pass's end. A mean over few images would tell of these, so that a cell with less than the minimum keeps its centroid.
 * @param pass means of the sites' parts, weighted by images; may be off by the rounding of a masked sum
 */
export function nextCentroids(
  { sums, counts, images, before }: PooledPass,
  { minImages }: { minImages: number },
): Float64Array<ArrayBuffer> {
  const width = before.length / counts.length;
  const centroids = before.slice();
  for (const [cell, share] of counts.entries()) {
    // A whole number of images, but for rounding.
    if (share * images < Math.max(1, minImages) - 0.5) continue;
    for (let at = cell * width; at < (cell + 1) * width; at++) centroids[at] = sums[at]! / share;
  }
  return centroids;
}
