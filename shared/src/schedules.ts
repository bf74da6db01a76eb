import { type RunConfig, totalSteps } from "./config/run-config.js";

/** Values that change over a run as functions of the global step, alike at every site and never restarted per round. */

export interface CosineSchedule {
  /** Value at the end of the warm-up. */
  readonly base: number;
  /** Value that the cosine approaches; the last step stays above it. */
  readonly final: number;
  readonly steps: number;
  readonly warmupSteps: number;
}

/**
 * Linear from 0 to base over the warm-up, endpoint included, so that the base stands at indices W - 1 and W; then half
 * a cosine. Beyond the last step the last value stays.
 */
export function cosineAt(step: number, { base, final, steps, warmupSteps }: CosineSchedule): number {
  if (step < warmupSteps) return warmupSteps === 1 ? 0 : (base * step) / (warmupSteps - 1);
  const length = Math.max(1, steps - warmupSteps);
  const index = Math.min(step - warmupSteps, length - 1);
  return final + 0.5 * (base - final) * (1 + Math.cos((Math.PI * index) / length));
}

/** @param step global step, from 0 */
export function learningRateAt(step: number, config: RunConfig): number {
  const steps = totalSteps(config);
  const { learningRate: base, finalLearningRate: final, warmupShare } = config.optimizer;
  return cosineAt(step, { base, final, steps, warmupSteps: Math.round(warmupShare * steps) });
}

/** Constant without a final weight decay; otherwise half a cosine towards it, without warm-up. */
export function weightDecayAt(step: number, config: RunConfig): number {
  const { weightDecay: base, finalWeightDecay: final = base } = config.optimizer;
  return cosineAt(step, { base, final, steps: totalSteps(config), warmupSteps: 0 });
}
