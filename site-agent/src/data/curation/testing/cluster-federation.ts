import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { clusterTensors } from "@consilium/shared/params/cluster-tensors.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { ringBoundOf } from "@consilium/shared/secagg/protocol.js";
import { decodeMean, encodeDelta } from "@consilium/shared/secagg/quantize.js";
import { type ClusterRun, clusterRound, type PooledState } from "../cluster-round.js";
import { type FeatureRows, rowCount } from "../feature-rows.js";

/** What a federation's mean goes through: nothing, or the fixed point of the masked sum, whose masks cancel. */
export type MeanOf = (deltas: readonly Float32Array[], weights: readonly number[]) => Float32Array;

export const plainMean: MeanOf = (deltas, weights) => {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return deltas[0]!.map((_, at) => deltas.reduce((sum, delta, site) => sum + (weights[site]! / total) * delta[at]!, 0));
};

export function fixedPointMean(method: MethodOf<"clusters">, weightCap: number): MeanOf {
  const tensors = clusterTensors(method).map(({ shape, range }) => ({ size: sizeOf(shape), clip: 2.4 * range }));
  return (deltas, weights) => {
    const ringBound = ringBoundOf(deltas.length);
    const sum = new Int32Array(deltas[0]!.length);
    for (const [site, delta] of deltas.entries()) {
      const words = new Uint32Array(delta.length);
      const roundingKey = new Uint8Array(32).fill(site + 1);
      const weightShare = weights[site]! / weightCap;
      const clipped = encodeDelta(delta, 0, words, { tensors, weightShare, ringBound, roundingKey });
      if (clipped > 0) throw new Error(`${clipped} values beyond their range`);
      for (const [at, word] of words.entries()) sum[at] = (sum[at]! + word) | 0;
    }
    const mean = new Float32Array(sum.length);
    const weightShareSum = weights.reduce((total, weight) => total + weight / weightCap, 0);
    decodeMean(sum, 0, mean, { tensors, ringBound, weightShareSum, survivors: deltas.length });
    return mean;
  };
}

/** The checkpoint of the run's beginning, and that after each round; with the losses of the rounds. */
export function runClusters(
  run: ClusterRun,
  options: { sites: readonly FeatureRows[]; rounds: number; minCell: number; meanOf: MeanOf },
): { readonly states: readonly PooledState[]; readonly losses: readonly number[] } {
  const { sites, rounds, minCell, meanOf } = options;
  const weights = sites.map(rowCount);
  const images = weights.reduce((sum, weight) => sum + weight, 0);
  const length = clusterTensors(run.method).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const states: PooledState[] = [{ vector: new Float32Array(length), round: 0, images: 0 }];
  const losses: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const checkpoint = states.at(-1)!;
    const parts = sites.map(({ data, width }) => {
      return clusterRound({ run, checkpoint, rows: { data: data.slice(), width }, minCell });
    });
    const mean = meanOf(
      parts.map(({ vector }) => vector.map((value, at) => value - checkpoint.vector[at]!)),
      weights,
    );
    states.push({ vector: checkpoint.vector.map((value, at) => value + mean[at]!), round, images });
    losses.push(parts.reduce((sum, { loss }, site) => sum + (loss * weights[site]!) / images, 0));
  }
  return { states, losses };
}
