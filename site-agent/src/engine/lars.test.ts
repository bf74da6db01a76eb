import { describe, expect, it } from "vitest";
import type { TensorSpecs } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { lars } from "./lars.js";
import type { Engine, Program } from "./program.js";
import { runBoth } from "./testing/agreement.js";

const rates = { learningRate: 0.5, weightDecay: 0.1 };
const options = { momentum: 0.9, trustCoefficient: 0.02 };

function updateProgram(shape: readonly number[], { decays = true, factor = 1 } = {}): Program {
  const tensor = { shape, dtype: "float32" } as const;
  const inputs: TensorSpecs = { parameter: tensor, momentum: tensor, gradient: tensor };
  return {
    name: "lars",
    inputs,
    build({ parameter, momentum, gradient }) {
      const begun = { learningRate: tf.scalar(rates.learningRate), weightDecay: tf.scalar(rates.weightDecay) };
      const given = tf.div(gradient!, factor);
      const squares = tf.square(given);
      const updated = lars(options).begin(begun)({
        parameter: parameter!,
        slots: { momentum: momentum! },
        gradient: given,
        ...{ squares, squareSum: tf.sum(squares), decays },
        ...(factor === 1 ? {} : { factor: tf.scalar(factor) }),
      });
      return { parameter: updated.parameter, ...updated.slots };
    },
  };
}

const start = [3, 0, 4, 0];
const gradients = [
  [0, 6, 0, 8],
  [1, 1, 1, 1],
];

/** ‖p‖ = 5 and ‖g‖ = 10 at first: r = .02 × 5 / (10 + .5); the second step goes on from there, by hand in float64. */
const first = { r: 0.1 / 10.5 };
const v1 = start.map((p, i) => first.r * (gradients[0]![i]! + 0.1 * p));
const p1 = start.map((p, i) => p - 0.5 * v1[i]!);
const r2 = (0.02 * Math.hypot(...p1)) / (2 + 0.1 * Math.hypot(...p1));
const p2 = p1.map((p, i) => p - 0.5 * (0.9 * v1[i]! + r2 * (1 + 0.1 * p)));

async function twoSteps(engine: Engine, program: Program): Promise<number[]> {
  const shape = program.inputs["parameter"]!.shape;
  const compiled = await engine.compile(program);
  let state = {
    parameter: { shape, data: Float32Array.from(start) },
    momentum: { shape, data: new Float32Array(4) },
  };
  for (const gradient of gradients) {
    const outputs = await compiled.run({ ...state, gradient: { shape, data: Float32Array.from(gradient) } });
    state = { parameter: outputs["parameter"] as never, momentum: outputs["momentum"] as never };
  }
  await compiled.release();
  return [...state.parameter.data];
}

const gap = (actual: readonly number[], expected: readonly number[]) =>
  Math.max(...actual.map((number, index) => Math.abs(number - expected[index]!)));

describe.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("LARS (%s)", (_name, engine) => {
  it("takes the steps of the formula", async () => {
    expect(gap(await twoSteps(engine, updateProgram([2, 2])), p2)).toBeLessThan(1e-6);
  });

  it("takes the same steps with a gradient that has still to be scaled", async () => {
    expect(gap(await twoSteps(engine, updateProgram([2, 2], { factor: 0.125 })), p2)).toBeLessThan(1e-6);
  });

  it("neither adapts nor decays biases", async () => {
    const [p, g, h] = [start, gradients[0]!, gradients[1]!];
    const expected = p.map((number, i) => number - 0.5 * g[i]! - 0.5 * (0.9 * g[i]! + h[i]!));
    expect(gap(await twoSteps(engine, updateProgram([4], { decays: false })), expected)).toBeLessThan(1e-5);
  });
});

it("moves a tensor of zeros by its gradient, and one without gradient by its decay", async () => {
  const shape = [2, 2];
  const tensor = (...numbers: number[]) => ({ shape, data: Float32Array.from(numbers) });
  const zeros = tensor(0, 0, 0, 0);
  const program = updateProgram(shape);
  const fromZero = await runBoth(program, { parameter: zeros, momentum: zeros, gradient: tensor(1, 2, 3, 4) });
  for (const outputs of Object.values(fromZero)) expect([...outputs.momentum.data]).toEqual([1, 2, 3, 4]);
  const decaying = await runBoth(program, { parameter: tensor(1, 0, 0, 0), momentum: zeros, gradient: zeros });
  for (const outputs of Object.values(decaying)) expect(outputs.momentum.data[0]).toBeCloseTo(0.02, 6);
  const still = await runBoth(program, { parameter: zeros, momentum: zeros, gradient: zeros });
  for (const outputs of Object.values(still)) expect([...outputs.parameter.data]).toEqual([0, 0, 0, 0]);
});
