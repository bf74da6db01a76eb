import { initialVector } from "@consilium/shared/params/initialize.js";
import { randomFor } from "@consilium/shared/random.js";
import { InferenceSession } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import type { HostTensor, HostTensors } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { compileModel } from "../compiled-model.js";
import { hostTensor, ortTensor } from "../compiled-session.js";
import { HostHeldState } from "../host-held-state.js";
import type { CompiledProgram, Program } from "../program.js";
import { Stepper } from "../stepper.js";
import { drawInputs, programOf, relativeDifference } from "../testing/agreement.js";
import {
  configOf,
  drawBatch,
  gradientInputs,
  gradientProgram,
  smallMethods,
  stepOptions,
} from "../testing/method-gradients.js";
import { repeat } from "../trace/repeat.js";
import { trainStepProgram } from "../train-step.js";
import { freshState } from "../training-state.js";

/** On the CPU provider, which rounds where the graph says and computes most float16 operators in float32. */
type Precision = "float32" | "mixed";

async function compiled(program: Program, precision: Precision): Promise<CompiledProgram> {
  const { bytes, outputs } = compileModel(program, { products: "fused", precision });
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const ready: CompiledProgram = {
    async run(inputs, into = {}) {
      const feeds = Object.keys(program.inputs).map((name) => [name, ortTensor(inputs[name]!)]);
      const results = await session.run(Object.fromEntries(feeds));
      const found = outputs.map(({ name, modelName }) => [name, hostTensor(name, results[modelName])] as const);
      for (const [name, { data }] of found) into[name]?.data.set(data);
      return Object.fromEntries(found);
    },
    hold: async (state) => new HostHeldState(ready, state),
    release: () => session.release(),
  };
  return ready;
}

async function runOnce(program: Program, precision: Precision, inputs: HostTensors): Promise<HostTensors> {
  const ready = await compiled(program, precision);
  const outputs = await ready.run(inputs);
  await ready.release();
  return outputs;
}

function cosine({ data: a }: HostTensor, { data: b }: HostTensor): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [at, x] of a.entries()) {
    ab += x * b[at]!;
    aa += x * x;
    bb += b[at]! * b[at]!;
  }
  return ab / Math.sqrt(aa * bb);
}

const model = { imageSize: 32, patchSize: 8 };

describe.each([smallMethods.simclr, smallMethods.mae])("$name in mixed precision", (method) => {
  const config = configOf({ model, method });

  it.each([1, 2 ** 16])("has float32's loss and gradients with a loss scale of %i", async (lossScale) => {
    const inputs = gradientInputs(config, 8, lossScale);
    const program = gradientProgram(config, 8);
    const [full, half] = [await runOnce(program, "float32", inputs), await runOnce(program, "mixed", inputs)];
    const [expected, loss] = [full["loss"]!.data[0]!, half["loss"]!.data[0]!];
    expect(Math.abs(loss - expected) / expected).toBeLessThan(1e-3);
    // The rounding shows, or nothing was rounded.
    expect(loss).not.toBe(expected);
    for (const name of Object.keys(full).filter((output) => output.startsWith("gradient/"))) {
      expect(cosine(full[name]!, half[name]!), name).toBeGreaterThan(0.9999);
    }
  });

  it("trains along float32's loss curve", async () => {
    const options = { ...stepOptions(config, 8), lossScaling: true };
    const program = trainStepProgram(options);
    const random = randomFor("curve", method.name);
    const batches = Array.from({ length: 2 }, (): HostTensors => {
      const batch = drawBatch(options, random);
      const { view1 } = batch;
      // Two views have something in common.
      return view1 ? { ...batch, view2: { ...view1, data: view1.data.map((pixel) => pixel >> 1) } } : batch;
    });
    const curve = async (precision: Precision): Promise<number[]> => {
      const step = await compiled(program, precision);
      const state = freshState(options, initialVector(options.layout, 1));
      const stepper = await Stepper.start(step, options, state);
      const losses: number[] = [];
      for (let at = 0; at < 20; at++) {
        const { loss, finite } = await stepper.take(batches[at % 2]!, { learningRate: 1e-3, weightDecay: 0.05 });
        expect(finite).toBe(true);
        losses.push(loss);
      }
      await step.release();
      return losses;
    };
    const [full, half] = [await curve("float32"), await curve("mixed")];
    expect(full.at(-1)!).toBeLessThan(0.9 * full[0]!);
    for (const [at, loss] of half.entries()) expect(Math.abs(loss - full[at]!) / full[at]!).toBeLessThan(5e-3);
  });
});

it("lowers a loss scale that overflows until a step is finite, and leaves the state alone meanwhile", async () => {
  const options = { ...stepOptions(configOf({ model, method: smallMethods.mae }), 8), lossScaling: true };
  const step = await compiled(trainStepProgram(options), "mixed");
  const start = {
    ...freshState(options, initialVector(options.layout, 1)),
    lossScale: { scale: 2 ** 24, finiteSteps: 0 },
  };
  const stepper = await Stepper.start(step, options, start);
  const batch = drawBatch(options, randomFor("overflow"));
  const take = () => stepper.take(batch, { learningRate: 1e-3, weightDecay: 0.05 });
  expect(await take()).toMatchObject({ finite: false, scaleLowered: true });
  expect((await stepper.state()).parameters).toEqual(start.parameters);
  let tries = 1;
  while (!(await take()).finite) tries++;
  const { lossScale, parameters } = await stepper.state();
  expect(tries).toBeLessThan(12);
  expect(lossScale).toEqual({ scale: 2 ** (24 - tries), finiteSteps: 1 });
  expect(parameters).not.toEqual(start.parameters);
  await step.release();
});

it("sums gradients over the rounds of a loop", async () => {
  const specs = {
    first: { shape: [6, 8], dtype: "float32" },
    second: { shape: [8, 3], dtype: "float32" },
    rows: { shape: [12, 6], dtype: "float32" },
  } as const;
  const program = programOf(specs, (inputs) => {
    const names = ["first", "second"] as const;
    const start = Object.fromEntries(names.map((name) => [name, tf.zerosLike(inputs[name]!)]));
    return repeat({ count: 3, start, rows: { rows: inputs["rows"]! } }, (current, { rows }) => {
      const { grads } = tf.valueAndGrads((...weights: Tensor[]) => {
        const hidden = tf.relu(tf.matMul(rows!, weights[0]!));
        return tf.mean(tf.square(tf.matMul(hidden, weights[1]!))).asScalar();
      })(names.map((name) => inputs[name]!));
      return Object.fromEntries(names.map((name, at) => [name, tf.add(current[name]!, grads[at]!)]));
    });
  });
  const inputs = drawInputs(specs);
  const [full, half] = [await runOnce(program, "float32", inputs), await runOnce(program, "mixed", inputs)];
  for (const name of Object.keys(full)) {
    const difference = relativeDifference(full[name]!, half[name]!);
    expect(difference).toBeLessThan(5e-3);
    expect(difference).toBeGreaterThan(0);
  }
});
