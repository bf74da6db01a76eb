import { describe, expect, it } from "vitest";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import type { SslMethod } from "../ssl/method.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import type { Engine } from "./program.js";
import { Stepper } from "./stepper.js";
import { disagreement, drawInputs, runBoth } from "./testing/agreement.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import { trainStepProgram } from "./train-step.js";
import { freshState } from "./training-state.js";

const options = { method: quadratic, layout: quadraticLayout, optimizer: { beta1: 0.9, beta2: 0.95 }, batchSize: 2 };
const program = trainStepProgram(options);
const scalars = { learningRate: 0.1, weightDecay: 0.5 };
const batch: HostTensors = {
  view: { shape: [2, 1, 1, 3], data: Uint8Array.of(10, 20, 30, 240, 250, 200) },
  scale: { shape: [], data: Float32Array.of(1) },
};
const poisoned = { ...batch, scale: { shape: [], data: Float32Array.of(Number.NaN) } };

const start = () => freshState(Float32Array.from({ length: quadraticLayout.dimension }, (_, i) => i / 10));

async function stepperOn(engine: Engine, gradientClip?: number): Promise<Stepper> {
  const optimizer = gradientClip === undefined ? options.optimizer : { ...options.optimizer, gradientClip };
  return new Stepper(await engine.compile(trainStepProgram({ ...options, optimizer })), quadraticLayout, start());
}

it("agrees on both engines from any state", async () => {
  const drawn: HostTensors = { ...drawInputs(program.inputs), step: { shape: [], data: Float32Array.of(3) } };
  const squared = Object.entries(drawn).map(([name, tensor]): [string, HostTensor] => {
    return [name, name.startsWith("moment2/") ? { ...tensor, data: tensor.data.map((x) => x * x) } : tensor];
  });
  expect(disagreement(await runBoth(program, Object.fromEntries(squared)))).toBeLessThan(1e-5);
});

describe.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("a step (%s)", (_name, engine) => {
  it("lowers the loss and reports it with its terms", async () => {
    const stepper = await stepperOn(engine);
    const first = await stepper.take(batch, scalars);
    const second = await stepper.take(batch, scalars);
    expect(second.loss).toBeLessThan(first.loss);
    expect(Object.keys(first.terms)).toEqual(["gap"]);
    expect(first.gradientNorm).toBeGreaterThan(1);
    expect(stepper.state.optimizerStep).toBe(2);
  });

  it("leaves a tensor alone that the loss does not depend on", async () => {
    const stepper = await stepperOn(engine);
    await stepper.take(batch, scalars);
    expect(stepper.state.parameters.slice(9)).toEqual(start().parameters.slice(9));
  });

  it("keeps the old state when the loss is not finite", async () => {
    const stepper = await stepperOn(engine);
    await stepper.take(batch, scalars);
    const before = { ...stepper.state, parameters: stepper.state.parameters.slice() };
    const outcome = await stepper.take(poisoned, scalars);
    expect(outcome.finite).toBe(false);
    expect(stepper.state).toEqual(before);
    expect((await stepper.take(batch, scalars)).finite).toBe(true);
  });

  it("clips the gradient of each tensor on its own", async () => {
    const stepper = await stepperOn(engine, 0.01);
    await stepper.take(batch, scalars);
    const norm = (from: number, to: number) => Math.hypot(...stepper.state.moment1.slice(from, to)) / 0.1;
    expect(norm(0, 6)).toBeCloseTo(0.01, 5);
    expect(norm(6, 9)).toBeCloseTo(0.01, 5);
  });
});

it("resumes from a saved state with the same next step", async () => {
  const engine = compiledCpuEngine({ threads: 1 });
  const through = await stepperOn(engine);
  await through.take(batch, scalars);
  const { parameters, moment1, moment2, optimizerStep } = through.state;
  const saved = { parameters: parameters.slice(), moment1: moment1.slice(), moment2: moment2.slice(), optimizerStep };
  await through.take(batch, scalars);
  const resumed = new Stepper(await engine.compile(program), quadraticLayout, saved);
  await resumed.take(batch, scalars);
  expect(resumed.state).toEqual(through.state);
});

it("names a method whose loss ignores its parameters", async () => {
  const method: SslMethod = {
    ...quadratic,
    loss: (_parameters, batchTensors) => ({ loss: batchTensors["scale"]!.asScalar(), terms: {} }),
  };
  const compiling = compiledCpuEngine({ threads: 1 }).compile(trainStepProgram({ ...options, method }));
  await expect(compiling).rejects.toThrow("the loss of method quadratic depends on none of its parameters");
});
