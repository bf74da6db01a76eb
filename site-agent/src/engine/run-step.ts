import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import type { SslMethod } from "../ssl/method.js";
import { createMethod } from "../ssl/methods.js";
import { proximal } from "../ssl/proximal.js";
import type { DeviceName, OpenedEngine } from "./devices/device.js";
import { microBatchesFor } from "./micro-batches.js";
import { parameterRates } from "./parameter-rates.js";
import { recomputing } from "./recompute.js";
import { oneStepPerCall, type StepsPerCall, stepsPerCall } from "./steps-per-call.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";

/**
 * The training step of a run on a device: the one place where a run's configuration becomes a step's options.
 * @throws ConsiliumError "config-invalid" when the method does not fit the model
 */
export function runStep(config: RunConfig, { device, precision }: Pick<OpenedEngine, "device" | "precision">) {
  const layout = parameterLayout(config);
  const method = methodOf(config, layout);
  const { optimizer, training } = config;
  const rateOf = parameterRates(config);
  return {
    method,
    layout,
    optimizer,
    ...(rateOf === undefined ? {} : { rateOf }),
    batchSize: training.batchSize,
    microBatches: microBatchesFor({ config, separable: method.separable, device }),
    ...(precision === "mixed" ? { lossScaling: true } : {}),
  } satisfies TrainStepOptions;
}

/** The run's method, with what its strategy and its training settings add to it. */
function methodOf(config: RunConfig, layout: ParameterLayout): SslMethod {
  const { strategy } = config.aggregation;
  const plain = createMethod(config);
  const method = strategy.name === "fedprox" ? proximal(plain, layout, strategy.mu) : plain;
  return config.training.recompute ? recomputing(method) : method;
}

/** Beyond this, copying the state takes a small share of the time on any device, and a round is seldom interrupted. */
const mostPerCall = 8;

/**
 * How many training steps one run takes: several on CUDA, whose binding copies the state to the host after every run; as
 * many as divide a round, at most eight.
 */
export function callSize(device: DeviceName, stepsPerRound: number): number {
  if (device !== "cuda") return 1;
  for (let count = mostPerCall; count > 1; count--) if (stepsPerRound % count === 0) return count;
  return 1;
}

/** The program of a call. Where it holds several steps, it keeps the state of those that fail by itself. */
export function stepCalls(options: TrainStepOptions, count: number): StepsPerCall {
  if (count === 1) return { ...oneStepPerCall, program: trainStepProgram(options) };
  return stepsPerCall(trainStepProgram({ ...options, guard: "graph" }), count);
}
