import type { MethodOf } from "../config/method-config.js";
import type { ParameterSpec } from "./layout.js";

/**
 * What the checkpoint of a run of clusters holds in place of weights: pooled statistics, each a mean over the images of the
 * cohort, so that the checkpoint and the weighted mean of sites' differences from it are again the pooled statistic.
 */

/** Statistics of an image: `statisticNames` of the site agent. */
export const statisticWidth = 36;
/** Of two statistics each, where the order does not count. */
export const productCount = (statisticWidth * (statisticWidth + 1)) / 2;

export interface ClusterTensor extends ParameterSpec {
  /** No value is farther from zero, at any site and in any round. */
  readonly range: number;
}

type ClusterSettings = Pick<MethodOf<"clusters">, "clusters" | "featureLimit">;

/** All begin at zero: round 1 fills the moments, the later ones the cells. */
export function clusterTensors({ clusters, featureLimit }: ClusterSettings): readonly ClusterTensor[] {
  const tensor = (name: string, shape: readonly number[], range: number): ClusterTensor => {
    return { name, shape, range, initializer: { kind: "zeros" } };
  };
  return [
    /** Statistics in units of their ranges, and their products, row by row of the lower triangle. */
    tensor("moments.sums", [statisticWidth], 1),
    tensor("moments.products", [productCount], 1),
    /** By which the round assigned images, in deviations. */
    tensor("cluster.centroids", [clusters, statisticWidth], featureLimit),
    /** Of each cell's images, standardised. */
    tensor("cluster.sums", [clusters, statisticWidth], featureLimit),
    /** Share of the images that each cell has. */
    tensor("cluster.counts", [clusters], 1),
  ];
}
