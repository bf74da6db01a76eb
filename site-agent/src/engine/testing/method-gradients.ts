import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import type { HostTensor, HostTensors } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { createMethod } from "../../ssl/methods.js";
import { lossGradients } from "../loss-gradients.js";
import type { Program } from "../program.js";
import { stepInputs, stepTensors, type TrainStepOptions } from "../step-inputs.js";
import { freshState, stateTensors } from "../training-state.js";
import { drawInputs } from "./agreement.js";

export interface MethodCase {
  readonly model: { readonly architecture?: string; readonly imageSize: number; readonly patchSize: number };
  readonly method: { readonly name: string } & Readonly<Record<string, unknown>>;
}

/** For tests: a projection of 16 values, and a small decoder. */
export const smallMethods = {
  simclr: { name: "simclr", projectionDim: 16 },
  mae: { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 },
} as const;

/** For tests: a run with a vit-nano, unless the model says otherwise. */
export function configOf({ model, method }: MethodCase): RunConfig {
  return runConfigSchema.parse({
    name: "gradients",
    modality: "dermatology",
    model: { architecture: "vit-nano", ...model },
    method,
    optimizer: { learningRate: 1e-3, gradientClip: 3 },
    rounds: 1,
  });
}

export function stepOptions(config: RunConfig, batchSize: number): TrainStepOptions {
  return { method: createMethod(config), layout: parameterLayout(config), optimizer: config.optimizer, batchSize };
}

/** For tests: the inputs of a training step that scales its loss → "loss", "term/…" and every "gradient/…", unscaled. */
export function gradientProgram(config: RunConfig, batchSize: number): Program {
  const options: TrainStepOptions = { ...stepOptions(config, batchSize), lossScaling: true };
  return {
    name: `${config.method.name} gradients`,
    inputs: stepInputs(options),
    build(inputs) {
      const { loss, terms, gradients, unscale = tf.scalar(1) } = lossGradients(options, stepTensors(options, inputs));
      const outputs: Record<string, Tensor> = { loss };
      for (const [name, term] of Object.entries(terms)) outputs[`term/${name}`] = term;
      for (const [name, gradient] of Object.entries(gradients)) outputs[`gradient/${name}`] = tf.mul(gradient, unscale);
      return outputs;
    },
  };
}

/** For tests: the inputs of `gradientProgram` or of a step with the same batch, from the first state of a run. */
export function gradientInputs(config: RunConfig, batchSize: number, lossScale = 1): HostTensors {
  const options = stepOptions(config, batchSize);
  const state = freshState(options, initialVector(options.layout, 3));
  const rates = { learningRate: 1e-3, weightDecay: 0.05, step: 1, lossScale };
  return {
    ...drawBatch(options, randomFor("batch", config.method.name)),
    ...stateTensors(options, state),
    ...Object.fromEntries(
      Object.entries({ ...rates, ...methodScalars(options) }).map(([name, x]) => [name, scalar(x)]),
    ),
  };
}

/** The method's own scalars in the first step of a run. */
export function methodScalars({ method }: Pick<TrainStepOptions, "method">): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(method.scalars ?? {}).map(([name, at]) => [name, at(0)]));
}

/** Any pixels, and one drawing of the method's extra inputs. */
export function drawBatch(options: TrainStepOptions, random: Random): HostTensors {
  const { method, batchSize } = options;
  const views = Object.entries(stepInputs(options)).filter(([name]) => method.viewPlan.views.includes(name));
  return { ...drawInputs(Object.fromEntries(views), random), ...method.drawExtraInputs(batchSize, random) };
}

function scalar(number: number): HostTensor {
  return { shape: [], data: Float32Array.of(number) };
}
