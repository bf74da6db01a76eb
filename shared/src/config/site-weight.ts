import type { RunConfig } from "./run-config.js";

/** How much sites count in a round's mean. Site and coordinator must agree, so it is said once, here. */

export type WeightConfig = {
  readonly aggregation: Pick<RunConfig["aggregation"], "strategy" | "weightCap">;
  readonly privacy: Pick<RunConfig["privacy"], "mode">;
};

/**
 * L-DAWA (Rehman et al. 2023) has its weights inside the tensors and takes a plain mean over sites. In a private run a
 * number of images would tell of each of them, so that a mean is over a public number.
 */
function countAlike({ aggregation, privacy }: WeightConfig): boolean {
  return aggregation.strategy.name === "l-dawa" || privacy.mode !== "none";
}

/** A site's weight before the cap: its number of images, or one where sites count alike. */
export function siteWeight(config: WeightConfig, sampleCount: number): number {
  return countAlike(config) ? 1 : sampleCount;
}

/**
 * The largest weight, which a plan carries. Fixed point spends its bits on it: where every site weighs one, a higher cap
 * would shrink every site's update by the cap before it is rounded.
 */
export function planWeightCap(config: WeightConfig): number {
  return countAlike(config) ? 1 : config.aggregation.weightCap;
}
