import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { corruptionCodes } from "../../data/augment/corruption.js";
import type { HostTensor, HostTensors } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { createMethod } from "../../ssl/methods.js";
import { lossGradients } from "../loss-gradients.js";
import type { Program } from "../program.js";
import { stepInputs, stepTensors, type TrainStepOptions } from "../step-inputs.js";
import { freshState, stateTensors } from "../training-state.js";
import { drawInputs } from "./agreement.js";

/** How many codes a map of corruption has. */
const codes = Object.keys(corruptionCodes).length;

export interface MethodCase {
  readonly model: { readonly imageSize: number } & Readonly<Record<string, unknown>>;
  readonly method: { readonly name: string } & Readonly<Record<string, unknown>>;
}

const smallHead = { outputDim: 24, hiddenDim: 16, bottleneckDim: 8, localSize: 16, teacherTemperature: 0.07 };

/** For tests: small heads and decoders. */
export const smallMethods = {
  simclr: { name: "simclr", projectionDim: 16 },
  byol: { name: "byol", hiddenDim: 24, projectionDim: 16 },
  mae: { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 },
  dino: { name: "dino", ...smallHead, localCrops: 2 },
  ibot: { name: "ibot", ...smallHead, localCrops: 1 },
  dinov2: { name: "dinov2", ...smallHead, localCrops: 2 },
  gmml: { name: "gmml" },
  sit: { name: "sit", hiddenDim: 24, projectionDim: 16 },
  colorme: { name: "colorme" },
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

/** Any pixels, any codes in maps, and one drawing of the method's extra inputs. */
export function drawBatch(options: TrainStepOptions, random: Random): HostTensors {
  const { method, batchSize } = options;
  const specs = stepInputs(options);
  const views = method.views.map(({ name, kind, channels }): [string, HostTensor] => {
    const view = drawInputs({ [name]: specs[name]! }, random)[name]!;
    const isMap = kind === "map" && channels === 1;
    return [name, isMap ? { ...view, data: Uint8Array.from(view.data, (value) => value % codes) } : view];
  });
  return { ...Object.fromEntries(views), ...method.drawExtraInputs(batchSize, random) };
}

function scalar(number: number): HostTensor {
  return { shape: [], data: Float32Array.of(number) };
}
