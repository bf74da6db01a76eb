import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { createMethod } from "../ssl/methods.js";
import type { OpenedEngine } from "./devices/device.js";
import { microBatchesFor } from "./micro-batches.js";
import { recomputing } from "./recompute.js";
import type { TrainStepOptions } from "./train-step.js";

/**
 * The training step of a run on a device: the one place where a run's configuration becomes a step's options.
 * @throws ConsiliumError "config-invalid" when the method does not fit the model
 */
export function runStep(config: RunConfig, { device, precision }: Pick<OpenedEngine, "device" | "precision">) {
  const plain = createMethod(config);
  const method = config.training.recompute ? recomputing(plain) : plain;
  const { optimizer, training } = config;
  return {
    method,
    layout: parameterLayout(config),
    optimizer,
    batchSize: training.batchSize,
    microBatches: microBatchesFor({ config, separable: method.separable, device }),
    ...(precision === "mixed" ? { lossScaling: true } : {}),
  } satisfies TrainStepOptions;
}
