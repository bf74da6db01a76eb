import { expect, it } from "vitest";
import type { HostTensors, TensorSpecs } from "../model/tensors.js";
import type { Scalar } from "../model/tf.js";
import { adamw } from "./adamw.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import type { Program } from "./program.js";

/** Independent float64 evaluation of the published formulas: lr .01, decay .1, w = sin(.7 i + 1), gradients sin(.7 i + k + 1). */
const golden = [0.8206412042516031, 0.9862707498032289, 0.7017043512357172, 0.0700288361792276];

const wave = (size: number, phase: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(0.7 * i + phase));

function updateProgram(shape: readonly number[]): Program {
  const tensor = { shape, dtype: "float32" } as const;
  const scalar = { shape: [], dtype: "float32" } as const;
  const inputs: TensorSpecs = {
    parameter: tensor,
    moment1: tensor,
    moment2: tensor,
    gradient: tensor,
    learningRate: scalar,
    weightDecay: scalar,
    step: scalar,
    applied: scalar,
  };
  return {
    name: "adamw",
    inputs,
    build({ parameter, moment1, moment2, gradient, learningRate, weightDecay, step, applied }) {
      const scalars = { learningRate, weightDecay, step, applied } as Record<string, Scalar>;
      const update = adamw(
        {
          learningRate: scalars["learningRate"]!,
          weightDecay: scalars["weightDecay"]!,
          step: scalars["step"]!,
          applied: scalars["applied"]!,
        },
        { beta1: 0.9, beta2: 0.999 },
      );
      return { ...update({ parameter: parameter!, moment1: moment1!, moment2: moment2! }, gradient!) };
    },
  };
}

const value = (number: number) => ({ shape: [], data: Float32Array.of(number) });

async function threeSteps(
  engine: ReturnType<typeof eagerEngine>,
  shape: readonly number[],
  applied = 1,
): Promise<number[]> {
  const program = await engine.compile(updateProgram(shape));
  const zeros = { shape, data: new Float32Array(4) };
  let state: HostTensors = { parameter: { shape, data: wave(4, 1) }, moment1: zeros, moment2: zeros };
  for (let step = 1; step <= 3; step++) {
    const gradient = { shape, data: wave(4, step + 1) };
    const scalars = { learningRate: value(0.01), weightDecay: value(0.1), step: value(step), applied: value(applied) };
    state = await program.run({ ...state, gradient, ...scalars });
  }
  await program.release();
  return [...state["parameter"]!.data];
}

it.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("takes the published steps (%s)", async (_name, engine) => {
  const weights = await threeSteps(engine, [2, 2]);
  const worst = Math.max(...weights.map((weight, index) => Math.abs(weight - golden[index]!)));
  expect(worst).toBeLessThan(1e-6);
});

it("decays no biases", async () => {
  const decayed = await threeSteps(eagerEngine(), [2, 2]);
  const kept = await threeSteps(eagerEngine(), [4]);
  // (1 - .01 × .1)³ of the first weight, sin 1, is what decay takes.
  expect(kept[0]! - decayed[0]!).toBeCloseTo(Math.sin(1) * (1 - 0.999 ** 3), 4);
});

it("keeps the state bit by bit when the update is not applied", async () => {
  const weights = await threeSteps(compiledCpuEngine({ threads: 1 }), [2, 2], 0);
  expect(weights).toEqual([...wave(4, 1)]);
});
