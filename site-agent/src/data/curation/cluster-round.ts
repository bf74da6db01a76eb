import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { clusterTensors } from "@consilium/shared/params/cluster-tensors.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { randomFor } from "@consilium/shared/random.js";
import { type CellModel, cellModel } from "./cell-model.js";
import { type FeatureRows, type FeatureScaling, rowCount, standardise } from "./feature-rows.js";
import { limitFeatures, nextCentroids, sitePass } from "./federated-k-means.js";
import { firstCentroids, momentsOf, pooledMoments } from "./federated-scaling.js";
import { statisticCount } from "./statistics.js";

/**
 * A round of a run of clusters. Round 1 pools the moments of the statistics, which give all sites one scaling and the same
 * first centroids; every later round is one pass of Lloyd's. What all sites know comes from the checkpoint alone.
 */

export interface ClusterRun {
  readonly method: MethodOf<"clusters">;
  readonly seed: number;
}

/** A checkpoint of such a run. */
export interface PooledState {
  readonly vector: Float32Array;
  /** After which it was stored; 0 for the one that the run begins with. */
  readonly round: number;
  /** Images of the cohort of that round. */
  readonly images: number;
}

export interface ClusterRound {
  readonly run: ClusterRun;
  readonly checkpoint: PooledState;
  /** Of the site's images, not standardised. Changed in place. */
  readonly rows: FeatureRows;
  /** Cells with fewer of the site's images are left out of what it sends. */
  readonly minCell: number;
}

export interface SiteStatistics {
  /** In the checkpoint's layout, each value a mean over the site's images. */
  readonly vector: Float32Array;
  /** Mean squared distance of an image from its cell, in deviations, for each statistic: 1 where all is one cell. */
  readonly loss: number;
}

/** @throws ConsiliumError "not-enough-data" for fewer images than a cell needs */
export function clusterRound({ run, checkpoint, rows, minCell }: ClusterRound): SiteStatistics {
  const images = rowCount(rows);
  if (images < minCell) throw tooFew(images, minCell);
  const known = pooledCells(run, checkpoint);
  const vector = checkpoint.vector.slice();
  const into = partsOf(vector, run.method);
  if (known === undefined) {
    const { sums, products } = momentsOf(rows);
    into.momentSums.set(sums);
    into.momentProducts.set(products);
    return { vector, loss: 1 };
  }
  standardise(rows, known.scaling);
  limitFeatures(rows, run.method.featureLimit);
  const { sums, counts, inertia } = sitePass(rows, known.centroids, { minCell });
  into.centroids.set(known.centroids);
  into.sums.set(sums);
  into.counts.set(counts);
  return { vector, loss: inertia / statisticCount };
}

interface PooledCells {
  readonly scaling: FeatureScaling;
  /** clusters × width, in deviations. */
  readonly centroids: Float64Array<ArrayBuffer>;
}

/** @returns undefined before the moments are pooled */
function pooledCells({ method, seed }: ClusterRun, { vector, round, images }: PooledState): PooledCells | undefined {
  if (round === 0) return undefined;
  const { momentSums, momentProducts, centroids, sums, counts } = partsOf(vector, method);
  const moments = pooledMoments({ sums: momentSums, products: momentProducts });
  const { scaling } = moments;
  if (round === 1) {
    const first = firstCentroids(moments, method.clusters, randomFor("clusters", seed));
    const { featureLimit } = method;
    return { scaling, centroids: first.map((value) => Math.max(-featureLimit, Math.min(featureLimit, value))) };
  }
  return { scaling, centroids: nextCentroids({ sums, counts, images, before: Float64Array.from(centroids) }, method) };
}

/**
 * The cells that a checkpoint holds, as a site's own curation has them.
 * @throws ConsiliumError "not-found" for a round that has none yet
 */
export function cellsOfRun(run: ClusterRun, checkpoint: PooledState): CellModel {
  const cells = checkpoint.round < 2 ? undefined : pooledCells(run, checkpoint);
  if (cells === undefined) {
    throw new ConsiliumError("not-found", `there are no cells after round ${checkpoint.round}`, {
      remedy: "export a later round: the first one is for the scaling, the second for the first cells",
    });
  }
  const { scaling, centroids } = cells;
  return cellModel({
    seed: run.seed,
    mean: [...scaling.mean],
    deviation: [...scaling.deviation],
    centroids: Array.from({ length: run.method.clusters }, (_, cell) => {
      return [...centroids.subarray(cell * statisticCount, (cell + 1) * statisticCount)];
    }),
  });
}

/** Views of a vector's tensors. */
function partsOf(vector: Float32Array, method: ClusterRun["method"]) {
  const { parameters } = placeParameters(clusterTensors(method));
  const views = new Map(
    parameters.map(({ name, offset, size }) => [name, vector.subarray(offset, offset + size)] as const),
  );
  const part = (name: string): Float32Array => views.get(name)!;
  return {
    momentSums: part("moments.sums"),
    momentProducts: part("moments.products"),
    centroids: part("cluster.centroids"),
    sums: part("cluster.sums"),
    counts: part("cluster.counts"),
  };
}

function tooFew(images: number, minCell: number): ConsiliumError {
  return new ConsiliumError(
    "not-enough-data",
    `this site has ${images} readable images, egress.minCell is ${minCell}`,
    {
      remedy: "add images to the site's source",
    },
  );
}
