import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { gelu } from "../../model/gelu.js";
import { attention, linear, norm } from "../../model/layers.js";
import type { HostData, HostTensor, HostTensors, NamedTensors, TensorSpec, TensorSpecs } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { createMethod } from "../../ssl/methods.js";
import type { Program } from "../program.js";
import { type TrainStepOptions, trainStepProgram } from "../train-step.js";
import { freshState, stateTensors } from "../training-state.js";

/** A small program with fixed inputs that every engine must compute alike. */
export interface TestCase {
  readonly name: string;
  readonly program: Program;
  readonly inputs: HostTensors;
}

/** A training step, with the part of its inputs that is state. */
export interface StepCase extends TestCase {
  readonly state: HostTensors;
  readonly batchSize: number;
}

const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });

/** Each layer's forward and backward pass, on inputs of a few hundred values. */
export function layerCases(): TestCase[] {
  const dense = (name: string, outputs: number, inputs: number): TensorSpecs => {
    return { [`${name}.weight`]: floats(outputs, inputs), [`${name}.bias`]: floats(outputs) };
  };
  return [
    layerCase("linear", { x: floats(4, 6, 8), ...dense("fc", 16, 8) }, (x, parameters) =>
      linear(x, { parameters, name: "fc" }),
    ),
    layerCase("layer norm", { x: floats(4, 6, 16), "n.weight": floats(16), "n.bias": floats(16) }, (x, parameters) =>
      norm(x, { parameters, name: "n" }),
    ),
    layerCase("GELU", { x: floats(4, 40) }, gelu),
    layerCase("attention", { x: floats(2, 9, 16), ...dense("a.qkv", 48, 16), ...dense("a.proj", 16, 16) }, (x, all) =>
      attention(x, { parameters: all, name: "a" }, { heads: 2 }),
    ),
  ];
}

/** The mean square of what a layer gives, and its gradient for every input. */
function layerCase(
  name: string,
  inputs: TensorSpecs,
  layer: (x: Tensor, parameters: NamedTensors) => Tensor,
): TestCase {
  const names = Object.keys(inputs);
  const build = (tensors: NamedTensors): NamedTensors => {
    const { value, grads } = tf.valueAndGrads((...all: Tensor[]) => {
      const named = Object.fromEntries(names.map((input, index) => [input, all[index]!]));
      return tf.mean(tf.square(layer(named["x"]!, named))).asScalar();
    })(names.map((input) => tensors[input]!));
    return { value, ...Object.fromEntries(names.map((input, index) => [`gradient/${input}`, grads[index]!])) };
  };
  return { name, program: { name, inputs, build }, inputs: draw(inputs, randomFor("self-test", name)) };
}

const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });

/** The first training step of a small model on noise, in mixed precision with its loss scaled as in training. */
export function stepCase(method: "simclr" | "mae", precision: "float32" | "mixed" = "float32"): StepCase {
  const batchSize = 4;
  const config = runConfigSchema.parse({
    name: "self-test",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method: method === "mae" ? { name: method, decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 } : { name: method },
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });
  const made = createMethod(config);
  const options: TrainStepOptions = {
    ...{ method: made, layout: parameterLayout(config), optimizer: config.optimizer, batchSize },
    lossScaling: precision === "mixed",
  };
  const random = randomFor("self-test", method);
  const state = stateTensors(options, freshState(options, initialVector(options.layout, 1)));
  const program = trainStepProgram(options);
  const given = {
    ...made.drawExtraInputs(batchSize, random),
    ...state,
    ...{ learningRate: scalar(1e-3), weightDecay: scalar(0.05), step: scalar(1), lossScale: scalar(1024) },
  };
  const drawn = Object.entries(program.inputs).filter(([name]) => !(name in given));
  const inputs = { ...draw(Object.fromEntries(drawn), random), ...given };
  return { name: `${method} step`, program, inputs, state, batchSize };
}

function draw(specs: TensorSpecs, random: Random): HostTensors {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => {
      const length = sizeOf(shape);
      const data: HostData =
        dtype === "uint8"
          ? Uint8Array.from({ length }, () => random.integer(256))
          : Float32Array.from({ length }, () => random.normal() / 2);
      return [name, { shape, data }];
    }),
  );
}
