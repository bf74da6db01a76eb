import { describe, expect, it } from "vitest";
import type { TensorSpecs } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import type { Program } from "./program.js";
import { sgd } from "./sgd.js";
import { runBoth } from "./testing/agreement.js";

interface Case {
  readonly decays?: boolean;
  readonly factor?: number;
}

/** Two steps with momentum .9, rate .1 and decay .5. */
function twoSteps({ decays = true, factor = 1 }: Case): Program {
  const tensor = { shape: [2, 2], dtype: "float32" } as const;
  const inputs: TensorSpecs = { parameter: tensor, momentum: tensor, first: tensor, second: tensor };
  return {
    name: "sgd",
    inputs,
    build({ parameter, momentum, first, second }) {
      const update = sgd({ momentum: 0.9 }).begin({ learningRate: tf.scalar(0.1), weightDecay: tf.scalar(0.5) });
      let state = { parameter: parameter!, slots: { momentum: momentum! } };
      for (const whole of [first!, second!]) {
        const gradient = tf.div(whole, factor);
        const squares = tf.square(gradient);
        const operand = { ...state, ...{ gradient, squares, squareSum: tf.sum(squares), decays } };
        const updated = update(factor === 1 ? operand : { ...operand, factor: tf.scalar(factor) });
        state = { parameter: updated.parameter, slots: { momentum: updated.slots["momentum"]! } };
      }
      return { parameter: state.parameter, momentum: state.slots.momentum };
    },
  };
}

const tensor = (...numbers: number[]) => ({ shape: [2, 2], data: Float32Array.from(numbers) });
const inputs = {
  parameter: tensor(1, -2, 0, 4),
  momentum: tensor(0, 0, 0, 0),
  first: tensor(1, 2, 3, 4),
  second: tensor(-1, 0, 1, 2),
};

/**
 * By hand, as PyTorch has them. The first element: v = 1 + .5 = 1.5, p = 1 − .15 = .85; v = 1.35 − 1 + .425 = .775,
 * p = .85 − .0775 = .7725. The last: v = 6, p = 3.4; v = 5.4 + 2 + 1.7 = 9.1, p = 2.49.
 */
const decaying = { parameter: [0.7725, -2.085, -0.655, 2.49], momentum: [0.775, -0.15, 3.55, 9.1] };

const gap = (actual: ArrayLike<number>, expected: readonly number[]) =>
  Math.max(...expected.map((number, index) => Math.abs(number - actual[index]!)));

describe("SGD", () => {
  it.each([
    ["", {}],
    ["with a gradient that has still to be scaled", { factor: 0.25 }],
  ])("takes PyTorch's steps %s", async (_how, changes) => {
    for (const outputs of Object.values(await runBoth(twoSteps(changes), inputs))) {
      expect(gap(outputs["parameter"]!.data, decaying.parameter)).toBeLessThan(1e-6);
      expect(gap(outputs["momentum"]!.data, decaying.momentum)).toBeLessThan(2e-6);
    }
  });

  it("does not decay biases", async () => {
    // The last element: v = 4, p = 4 − .4 = 3.6; v = 3.6 + 2 = 5.6, p = 3.6 − .56 = 3.04.
    for (const outputs of Object.values(await runBoth(twoSteps({ decays: false }), inputs))) {
      expect(outputs["parameter"]!.data[3]).toBeCloseTo(3.04, 6);
      expect(outputs["momentum"]!.data[3]).toBeCloseTo(5.6, 6);
      expect(outputs["parameter"]!.data[0]).toBeCloseTo(0.91, 6);
    }
  });

  it("names what it lacks", () => {
    expect(() => sgd({ momentum: 0 }).begin({})).toThrow(/lacks one of its scalars/);
  });
});
