import { placeParameters } from "@consilium/shared/params/layout.js";
import { expect, it } from "vitest";
import { parameterOf } from "../model/layers.js";
import { tf } from "../model/tf.js";
import type { HeldBack, SslMethod } from "../ssl/method.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { Stepper } from "./stepper.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";
import { freshState } from "./training-state.js";

const layout = placeParameters(
  ["free", "last"].map((name) => ({ name, shape: [1, 2], initializer: { kind: "ones" } as const })),
);

/** Both tensors have the gradient [2, −3] × scale. */
function holding(how: HeldBack["how"]): SslMethod {
  return {
    name: "slope",
    views: [],
    separable: false,
    coupling: undefined,
    scalars: { gate: () => 0 },
    heldBack: { parameters: /^last$/, scalar: "gate", how },
    extraInputs: () => ({ scale: { shape: [], dtype: "float32" } }),
    drawExtraInputs: () => ({}),
    loss(parameters, batch) {
      const slope = tf.mul(tf.tensor2d([[2, -3]]), parameterOf(batch, "scale"));
      const both = tf.add(parameterOf(parameters, "free"), parameterOf(parameters, "last"));
      return { loss: tf.sum(tf.mul(both, slope)), terms: {} };
    },
  };
}

const scales = [1, 0.5, 2, 1.5, 0.25];
const rates = { learningRate: 0.01, weightDecay: 0.1 };

/** The first element of each tensor after each step. */
async function trained(engine: "eager" | "compiled", how: HeldBack["how"], gates: readonly number[]) {
  const options: TrainStepOptions = {
    ...{ method: holding(how), layout, batchSize: 1 },
    optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999 },
  };
  const opened = engine === "eager" ? eagerEngine() : compiledCpuEngine({ threads: 1 });
  const stepper = await Stepper.start(
    await opened.compile(trainStepProgram(options)),
    options,
    freshState(options, Float32Array.of(1, 1, 1, 1)),
  );
  const states: Float32Array[] = [];
  for (const [index, gate] of gates.entries()) {
    const scale = { shape: [], data: Float32Array.of(scales[index]!) };
    await stepper.take({ scale }, { ...rates, gate });
    states.push((await stepper.state()).parameters);
  }
  return { free: states.map((state) => state[0]!), last: states.map((state) => state[2]!) };
}

/** AdamW (Loshchilov and Hutter 2019) from its beginning, for gradients of one element. */
function adamw(gradients: readonly number[]): number[] {
  let [weight, moment1, moment2] = [1, 0, 0];
  return gradients.map((gradient, index) => {
    moment1 = 0.9 * moment1 + 0.1 * gradient;
    moment2 = 0.999 * moment2 + 0.001 * gradient ** 2;
    const unbiased = [moment1 / (1 - 0.9 ** (index + 1)), moment2 / (1 - 0.999 ** (index + 1))] as const;
    weight =
      weight * (1 - rates.learningRate * rates.weightDecay) -
      (rates.learningRate * unbiased[0]) / (Math.sqrt(unbiased[1]) + 1e-8);
    return weight;
  });
}

const gradients = scales.map((scale) => 2 * scale);

function expectNear(actual: readonly number[], expected: readonly number[]): void {
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 6);
}

it.each(["eager", "compiled"] as const)("begins with what was skipped as in a first step (%s)", async (engine) => {
  const { free, last } = await trained(engine, "skip", [0, 0, 1, 2, 3]);
  expectNear(free, adamw(gradients));
  expect(last.slice(0, 2)).toEqual([1, 1]);
  expectNear(last.slice(2), adamw(gradients.slice(2)));
});

it("does not take moments for older than the optimiser's", async () => {
  const { last } = await trained("eager", "skip", [900, 901, 902, 903, 904]);
  expectNear(last, adamw(gradients));
});

it.each(["eager", "compiled"] as const)("moves moments on where only the rate is held back (%s)", async (engine) => {
  const { free, last } = await trained(engine, "rate", [0, 0, 1, 1, 1]);
  expect(last.slice(0, 2)).toEqual([1, 1]);
  // The same direction as the tensor has that was free from the beginning; decay takes its share of each one's own.
  const kept = 1 - rates.learningRate * rates.weightDecay;
  expect(last[2]).toBeCloseTo(kept - (kept * free[1]! - free[2]!), 6);
});
