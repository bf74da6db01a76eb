import { describe, expect, it } from "vitest";
import type { HostTensors, TensorSpecs } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { adamw } from "./adamw.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import type { Engine, Program } from "./program.js";

/** Independent float64 evaluation of the published formulas: lr .01, decay .1, w = sin(.7 i + 1), gradients sin(.7 i + k + 1). */
const golden = [0.8206412042516031, 0.9862707498032289, 0.7017043512357172, 0.0700288361792276];

const wave = (size: number, phase: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(0.7 * i + phase));

interface Case {
  readonly shape: readonly number[];
  readonly decays?: boolean;
  /** The gradient comes divided by it, and with it as its factor. */
  readonly factor?: number;
}

function updateProgram({ shape, decays = true, factor }: Case): Program {
  const tensor = { shape, dtype: "float32" } as const;
  const scalar = { shape: [], dtype: "float32" } as const;
  const inputs: TensorSpecs = {
    ...{ parameter: tensor, moment1: tensor, moment2: tensor, gradient: tensor },
    ...{ learningRate: scalar, weightDecay: scalar, step: scalar },
  };
  return {
    name: "adamw",
    inputs,
    build(tensors) {
      const scalarIn = (name: string) => tensors[name]!.asScalar();
      const gradient = factor === undefined ? tensors["gradient"]! : tf.div(tensors["gradient"]!, factor);
      const squares = tf.square(gradient);
      const update = adamw({ beta1: 0.9, beta2: 0.999 }).begin({
        learningRate: scalarIn("learningRate"),
        weightDecay: scalarIn("weightDecay"),
        step: scalarIn("step"),
      });
      const { parameter, slots } = update({
        parameter: tensors["parameter"]!,
        slots: { moment1: tensors["moment1"]!, moment2: tensors["moment2"]! },
        ...{ gradient, squares, squareSum: tf.sum(squares), decays },
        ...(factor === undefined ? {} : { factor: tf.scalar(factor) }),
      });
      return { parameter, ...slots };
    },
  };
}

const value = (number: number) => ({ shape: [], data: Float32Array.of(number) });

async function threeSteps(engine: Engine, updated: Case): Promise<number[]> {
  const { shape } = updated;
  const program = await engine.compile(updateProgram(updated));
  const zeros = { shape, data: new Float32Array(4) };
  let state: HostTensors = { parameter: { shape, data: wave(4, 1) }, moment1: zeros, moment2: zeros };
  for (let step = 1; step <= 3; step++) {
    const gradient = { shape, data: wave(4, step + 1) };
    const scalars = { learningRate: value(0.01), weightDecay: value(0.1), step: value(step) };
    state = await program.run({ ...state, gradient, ...scalars });
  }
  await program.release();
  return [...state["parameter"]!.data];
}

function distance(weights: readonly number[]): number {
  return Math.max(...weights.map((weight, index) => Math.abs(weight - golden[index]!)));
}

describe.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("AdamW (%s)", (_name, engine) => {
  it("takes the published steps", async () => {
    expect(distance(await threeSteps(engine, { shape: [2, 2] }))).toBeLessThan(1e-6);
  });

  it("takes the same steps with a gradient that has still to be scaled", async () => {
    for (const factor of [0.25, 2 ** -16]) {
      expect(distance(await threeSteps(engine, { shape: [2, 2], factor }))).toBeLessThan(1e-6);
    }
  });
});

it("decays only what decays", async () => {
  const decayed = await threeSteps(eagerEngine(), { shape: [4] });
  const kept = await threeSteps(eagerEngine(), { shape: [4], decays: false });
  // (1 - .01 × .1)³ of the first weight, sin 1, is what decay takes.
  expect(kept[0]! - decayed[0]!).toBeCloseTo(Math.sin(1) * (1 - 0.999 ** 3), 4);
});
