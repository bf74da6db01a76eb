import type { RunConfig } from "../config/run-config.js";

export type ServerOptimizerName = RunConfig["aggregation"]["serverOptimizer"];

/** Turns the cohort's mean delta into the next checkpoint, one block of the flat vector after the other. */
export interface ServerOptimizer {
  readonly name: ServerOptimizerName;
  /** All three have the block's length; `out` may be either of the others. */
  apply(previous: Float32Array, meanDelta: Float32Array, out: Float32Array): void;
}

/** McMahan et al. 2017: the weighted mean of the sites' parameters, which is previous + mean delta. */
const fedavg: ServerOptimizer = {
  name: "fedavg",
  apply(previous, meanDelta, out) {
    for (let i = 0; i < out.length; i++) out[i] = previous[i]! + meanDelta[i]!;
  },
};

const optimizers: Readonly<Record<ServerOptimizerName, ServerOptimizer>> = { fedavg };

export function serverOptimizer(name: ServerOptimizerName): ServerOptimizer {
  return optimizers[name];
}
