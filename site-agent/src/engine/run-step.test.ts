import { expect, it } from "vitest";
import { compiledCpuEngine } from "./compiled-engine.js";
import { callSize, stepCalls } from "./run-step.js";
import { type StepOutcome, Stepper, type StepRequest } from "./stepper.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import type { TrainStepOptions } from "./train-step.js";
import { freshState, type TrainingState } from "./training-state.js";

const options: TrainStepOptions = {
  method: quadratic,
  layout: quadraticLayout,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999 },
  batchSize: 2,
};

const requestOf = (scale: number, index: number): StepRequest => ({
  batch: {
    view: { shape: [2, 1, 1, 3], data: Uint8Array.of(10 * index, 20, 30, 240, 250, 200) },
    scale: { shape: [], data: Float32Array.of(scale) },
  },
  scalars: { learningRate: 0.01 * (index + 1), weightDecay: 0.1 },
});

interface Taken {
  readonly outcomes: readonly StepOutcome[];
  readonly state: TrainingState;
}

async function take(count: number, scales: readonly number[], over: Partial<TrainStepOptions> = {}): Promise<Taken> {
  const shape = { ...options, ...over };
  const { program, ...calls } = stepCalls(shape, count);
  const compiled = await compiledCpuEngine({ threads: 1 }).compile(program);
  const start = freshState(shape, new Float32Array(quadraticLayout.dimension));
  const stepper = await Stepper.start(compiled, shape, start, calls);
  const requests = scales.map(requestOf);
  const outcomes: StepOutcome[] = [];
  for (let at = 0; at < requests.length; at += count) {
    outcomes.push(...(await stepper.takeCall(requests.slice(at, at + count))));
  }
  return { outcomes, state: await stepper.state() };
}

it("takes the same steps several at a time", async () => {
  const scales = [1, 2, 0.5, 1.5];
  const [single, paired] = [await take(1, scales), await take(2, scales)];
  expect(paired.outcomes.map(({ finite }) => finite)).toEqual([true, true, true, true]);
  for (const [index, { loss }] of single.outcomes.entries()) {
    expect(paired.outcomes[index]!.loss).toBeCloseTo(loss, 4);
  }
  for (const [index, value] of single.state.parameters.entries()) {
    expect(paired.state.parameters[index]).toBeCloseTo(value, 6);
  }
  expect(paired.state.optimizerStep).toBe(4);
});

it("keeps the state of a step that fails inside a call", async () => {
  const failing = await take(2, [1, Number.NaN]);
  const { state } = await take(1, [1]);
  expect(failing.outcomes.map(({ finite }) => finite)).toEqual([true, false]);
  expect(failing.state).toEqual(state);
});

it("goes on after a failed step with the state before it", async () => {
  const { outcomes, state } = await take(2, [Number.POSITIVE_INFINITY, 1]);
  expect(outcomes.map(({ finite }) => finite)).toEqual([false, true]);
  expect(state.optimizerStep).toBe(1);
  expect(state.parameters.every(Number.isFinite)).toBe(true);
});

it("lowers the loss scale once for all steps that were taken with it", async () => {
  const { outcomes, state } = await take(4, Array(4).fill(Number.POSITIVE_INFINITY), { lossScaling: true });
  expect(outcomes.map(({ scaleLowered }) => scaleLowered)).toEqual([true, true, true, true]);
  expect(state.lossScale).toEqual({ scale: 2 ** 15, finiteSteps: 0 });
  const mixed = await take(4, [1, 1, Number.POSITIVE_INFINITY, 1], { lossScaling: true });
  expect(mixed.state.lossScale).toEqual({ scale: 2 ** 15, finiteSteps: 0 });
  const finite = await take(4, [1, 1, 1, 1], { lossScaling: true });
  expect(finite.state.lossScale).toEqual({ scale: 2 ** 16, finiteSteps: 4 });
});

it("takes several steps at a time on CUDA only, as many as divide a round", () => {
  expect([callSize("cpu", 48), callSize("webgpu", 48), callSize("tensorflow", 48)]).toEqual([1, 1, 1]);
  expect([48, 50, 7, 13, 1].map((steps) => callSize("cuda", steps))).toEqual([8, 5, 7, 1, 1]);
});
