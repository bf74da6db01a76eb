import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import type { HostTensors, TensorSpec } from "../../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../../model/tf.js";
import { createMethod } from "../../ssl/methods.js";
import type { Program } from "../program.js";
import { drawInputs } from "./agreement.js";

export interface MethodCase {
  readonly model: { readonly architecture?: string; readonly imageSize: number; readonly patchSize: number };
  readonly method: { readonly name: string } & Readonly<Record<string, unknown>>;
}

/** For tests: a small decoder, and a projection of 16 values. */
export const smallMethods = {
  simclr: { name: "simclr", projectionDim: 16 },
  mae: { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 },
} as const;

export function configOf({ model, method }: MethodCase): RunConfig {
  return runConfigSchema.parse({
    name: "gradients",
    modality: "dermatology",
    model: { architecture: "vit-nano", ...model },
    method,
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });
}

/**
 * For tests: a method's loss, its terms and every gradient, without an optimiser. Inputs: the layout's tensors, the
 * views as float32, the method's extra inputs. Outputs: "loss", "term/…", "gradient/…".
 * @param lossScale multiplies the loss before differentiation; gradients are divided by it again
 */
export function gradientProgram(config: RunConfig, batchSize: number, lossScale = 1): Program {
  const method = createMethod(config);
  const { parameters } = parameterLayout(config);
  const { views, imageSize } = method.viewPlan;
  const view: TensorSpec = { shape: [batchSize, imageSize, imageSize, 3], dtype: "float32" };
  const names = parameters.map(({ name }) => name);
  return {
    name: `${method.name} gradients`,
    inputs: {
      ...Object.fromEntries(parameters.map(({ name, shape }): [string, TensorSpec] => [name, { shape, dtype: "float32" }])),
      ...Object.fromEntries(views.map((name) => [name, view])),
      ...method.extraInputs(batchSize),
    },
    build(inputs) {
      const outputs: Record<string, Tensor> = {};
      const { grads } = tf.valueAndGrads((...tensors: Tensor[]) => {
        const { loss, terms } = method.loss(Object.fromEntries(names.map((name, at) => [name, tensors[at]!])), inputs);
        outputs["loss"] = tf.keep(tf.clone(loss));
        for (const [name, term] of Object.entries(terms)) outputs[`term/${name}`] = tf.keep(term);
        return tf.mul<Scalar>(loss, lossScale);
      })(names.map((name) => inputs[name]!));
      for (const [at, name] of names.entries()) outputs[`gradient/${name}`] = tf.mul(grads[at]!, 1 / lossScale);
      return outputs;
    },
  };
}

/** A training step's inputs for one batch: any pixels, one drawing of the extra inputs. */
export function drawBatch(config: RunConfig, program: Program, random: Random): HostTensors {
  const method = createMethod(config);
  const specs = method.viewPlan.views.map((view) => [view, program.inputs[view]!] as const);
  const count = specs[0]?.[1].shape[0] ?? 0;
  return { ...drawInputs(Object.fromEntries(specs), random), ...method.drawExtraInputs(count, random) };
}

/** First weights of the layout, standard normal pixels, one drawing of the extra inputs. */
export function gradientInputs(config: RunConfig, batchSize: number): HostTensors {
  const layout = parameterLayout(config);
  const vector = initialVector(layout, 3);
  const weights = layout.parameters.map(({ name, shape, offset, size }): [string, HostTensors[string]] => [
    name,
    { shape, data: vector.slice(offset, offset + size) },
  ]);
  return {
    ...drawInputs(gradientProgram(config, batchSize).inputs, randomFor("pixels", config.method.name)),
    ...createMethod(config).drawExtraInputs(batchSize, randomFor("masks", config.method.name)),
    ...Object.fromEntries(weights),
  };
}
