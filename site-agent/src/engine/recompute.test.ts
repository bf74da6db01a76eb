import { describe, expect, it } from "vitest";
import { withWrappedBlocks } from "../model/block-runner.js";
import type { HostTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { createMethod } from "../ssl/methods.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { predictPeak } from "./memory/predict-peak.js";
import { optimize } from "./passes/optimize.js";
import type { Engine, Program } from "./program.js";
import { recomputed, recomputing } from "./recompute.js";
import { relativeDifference } from "./testing/agreement.js";
import { configOf, gradientInputs, gradientProgram, smallMethods } from "./testing/method-gradients.js";
import { traceProgram } from "./trace/trace-program.js";

const model = { imageSize: 16, patchSize: 4 };

function withRecomputation(program: Program): Program {
  return { ...program, build: (inputs) => withWrappedBlocks(recomputed, () => program.build(inputs)) };
}

async function run(engine: Engine, program: Program, inputs: HostTensors): Promise<HostTensors> {
  const compiled = await engine.compile(program);
  try {
    return await compiled.run(inputs);
  } finally {
    await compiled.release();
  }
}

function worst(expected: HostTensors, actual: HostTensors): number {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  return Math.max(...Object.keys(expected).map((name) => relativeDifference(expected[name]!, actual[name]!)));
}

describe("recomputed", () => {
  it.each([
    { engine: compiledCpuEngine({ threads: 1 }), method: smallMethods.simclr },
    { engine: compiledCpuEngine({ threads: 1 }), method: { ...smallMethods.mae, decoderBlocks: 2 } },
    { engine: eagerEngine(), method: smallMethods.mae },
  ])("changes neither loss nor gradients: $engine.name, $method.name", async ({ engine, method }) => {
    const config = configOf({ model, method });
    const [program, inputs] = [gradientProgram(config, 2), gradientInputs(config, 2)];
    const expected = await run(engine, program, inputs);
    expect(worst(expected, await run(engine, withRecomputation(program), inputs))).toBeLessThan(1e-6);
  });

  it("keeps a block's input instead of what it computes", () => {
    const deep = gradientProgram(
      configOf({ model: { ...model, architecture: "vit-tiny" }, method: smallMethods.simclr }),
      16,
    );
    const peakOf = (program: Program) => {
      const { activationBytes, transientBytes } = predictPeak(optimize(traceProgram(program), { products: "fused" }));
      return activationBytes + transientBytes;
    };
    expect(peakOf(withRecomputation(deep))).toBeLessThan(0.4 * peakOf(deep));
  });

  const oneBlock = (
    wrap: (block: (x: Tensor) => Tensor) => (x: Tensor, rest: Record<string, Tensor>) => Tensor,
  ): Program => ({
    name: "one block",
    inputs: { x: { shape: [2, 3], dtype: "float32" }, unused: { shape: [2], dtype: "float32" } },
    build: ({ x, unused }) => {
      const grads = tf.grads((...args: Tensor[]) => {
        const [input, other] = [args[0]!, args[1]!];
        const loss = tf.sum(tf.square(wrap((value) => tf.square(value))(input, { other })));
        return tf.add(loss, tf.sum(tf.mul(other, 2)));
      })([x!, unused!]);
      return { dx: grads[0]!, rest: grads[1]! };
    },
  });

  it.each([eagerEngine(), compiledCpuEngine({ threads: 1 })])(
    "handles a parameter that the block does not read: $name",
    async (engine) => {
      const inputs = {
        x: { shape: [2, 3], data: Float32Array.of(1, -2, 3, 0.5, 0, 4) },
        unused: { shape: [2], data: Float32Array.of(1, 2) },
      };
      const actual = await run(engine, oneBlock(recomputed), inputs);
      expect([...actual["dx"]!.data]).toEqual([4, -32, 108, 0.5, 0, 256]);
      expect([...actual["rest"]!.data]).toEqual([2, 2]);
    },
  );
});

describe("recomputing", () => {
  it("wraps the blocks of a method's loss and nothing else", () => {
    const method = createMethod(configOf({ model, method: smallMethods.simclr }));
    const changed = recomputing(method);
    const withoutLoss = (of: typeof method) => ({ ...of, loss: undefined });
    expect(withoutLoss(changed)).toEqual(withoutLoss(method));
    const config = configOf({ model, method: smallMethods.simclr });
    const inputs = gradientInputs(config, 2);
    const lossOf = (of: typeof method) =>
      tf.tidy(() => {
        const tensors = Object.fromEntries(
          Object.entries(inputs).map(([name, { data, shape }]) => [
            name.replace("parameter/", ""),
            tf.tensor(data, [...shape], "float32"),
          ]),
        );
        return of.loss(tensors, tensors, {}).loss.dataSync()[0];
      });
    expect(lossOf(changed)).toBeCloseTo(lossOf(method)!, 6);
  });
});
