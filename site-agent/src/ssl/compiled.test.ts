import type { MethodConfig, ModelConfig } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import { eagerEngine } from "../engine/eager-engine.js";
import type { Program } from "../engine/program.js";
import type { HostTensors, TensorSpecs } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { createMethod } from "./methods.js";

const model: ModelConfig = { architecture: "vit-nano", imageSize: 16, patchSize: 4 };
const batchSize = 3;
const methods: readonly MethodConfig[] = [
  { name: "simclr", temperature: 0.5, projectionDim: 16, pooling: "mean" },
  { name: "mae", maskRatio: 0.75, decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2, normalizePixels: true },
];

/** Loss, terms and every gradient of a method as one program, with first values for its inputs. */
function gradientProgram(config: MethodConfig): { program: Program; inputs: HostTensors } {
  const method = createMethod({ model, method: config });
  const { parameters } = parameterLayout({ model, method: config });
  const vector = initialVector(parameterLayout({ model, method: config }), 3);
  const random = randomFor("compiled", config.name);
  const views = method.viewPlan.views.map((view): [string, HostTensors[string]] => {
    const data = Float32Array.from({ length: batchSize * 16 * 16 * 3 }, () => random.normal());
    return [view, { shape: [batchSize, 16, 16, 3], data }];
  });
  const batch: HostTensors = { ...Object.fromEntries(views), ...method.drawExtraInputs(batchSize, random) };
  const values = parameters.map(({ name, shape, offset, size }): [string, HostTensors[string]] => [
    name,
    { shape, data: vector.slice(offset, offset + size) },
  ]);
  const inputs: HostTensors = { ...Object.fromEntries(values), ...batch };
  const specs: TensorSpecs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data }]) => [
      name,
      { shape, dtype: data instanceof Float32Array ? "float32" : "int32" },
    ]),
  );
  const names = parameters.map(({ name }) => name);
  return {
    inputs,
    program: {
      name: `${config.name} gradients`,
      inputs: specs,
      build(tensors) {
        const kept: Record<string, Tensor> = {};
        const { value, grads } = tf.valueAndGrads((...args: Tensor[]) => {
          const named = Object.fromEntries(names.map((name, index) => [name, args[index]!]));
          const { loss, terms } = method.loss(named, tensors, {});
          for (const [name, term] of Object.entries(terms)) kept[`term/${name}`] = tf.keep(term);
          return loss;
        })(names.map((name) => tensors[name]!));
        return { ...kept, loss: value, ...Object.fromEntries(names.map((name, index) => [name, grads[index]!])) };
      },
    },
  };
}

describe("methods on the compiled engine", () => {
  it.each(methods)("$name has the loss and gradients of the eager engine", async (config) => {
    const { program, inputs } = gradientProgram(config);
    const outputs = await Promise.all(
      [compiledCpuEngine({ threads: 1 }), eagerEngine()].map(async (engine) => {
        const compiled = await engine.compile(program);
        const result = await compiled.run(inputs);
        await compiled.release();
        return result;
      }),
    );
    const [compiled, eager] = outputs;
    const far = Object.entries(eager!).filter(([name, { data }]) => {
      return relativeDistance(compiled![name]!.data, data) > (name === "loss" ? 1e-5 : 1e-4);
    });
    expect(far.map(([name]) => name)).toEqual([]);
  });
});

/** Largest difference over the largest magnitude. */
function relativeDistance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let distance = 0;
  let largest = 1e-6;
  for (let index = 0; index < expected.length; index++) {
    distance = Math.max(distance, Math.abs(actual[index]! - expected[index]!));
    largest = Math.max(largest, Math.abs(expected[index]!));
  }
  return distance / largest;
}
