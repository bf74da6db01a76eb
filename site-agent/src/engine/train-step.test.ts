import { describe, expect, it } from "vitest";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import type { SslMethod } from "../ssl/method.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import type { StepOptimizer } from "./optimizer.js";
import type { Engine } from "./program.js";
import { Stepper } from "./stepper.js";
import { disagreement, drawInputs, relativeDifference, runBoth } from "./testing/agreement.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";
import { freshState, stateTensors } from "./training-state.js";

const adamw: StepOptimizer = { name: "adamw", beta1: 0.9, beta2: 0.95 };
const options: TrainStepOptions = { method: quadratic, layout: quadraticLayout, optimizer: adamw, batchSize: 2 };
const scalars = { learningRate: 0.1, weightDecay: 0.5 };
const batch: HostTensors = {
  view: { shape: [2, 1, 1, 3], data: Uint8Array.of(10, 20, 30, 240, 250, 200) },
  scale: { shape: [], data: Float32Array.of(1) },
};
const scalar = (number: number): HostTensor => ({ shape: [], data: Float32Array.of(number) });
const poisoned = { ...batch, scale: scalar(Number.NaN) };

const firstWeights = () => Float32Array.from({ length: quadraticLayout.dimension }, (_, i) => i / 10);

async function stepperOn(engine: Engine, changes: Partial<TrainStepOptions> = {}): Promise<Stepper> {
  const changed = { ...options, ...changes };
  const step = await engine.compile(trainStepProgram(changed));
  return Stepper.start(step, changed, freshState(changed, firstWeights()));
}

/** Second moments are squares. */
function drawn(stepOptions: TrainStepOptions): HostTensors {
  const tensors: HostTensors = { ...drawInputs(trainStepProgram(stepOptions).inputs), step: scalar(3) };
  const squared = Object.entries(tensors).map(([name, tensor]): [string, HostTensor] => {
    return [name, name.startsWith("moment2/") ? { ...tensor, data: tensor.data.map((x) => x * x) } : tensor];
  });
  return Object.fromEntries(squared);
}

const optimizers: readonly StepOptimizer[] = [
  adamw,
  { name: "lars", momentum: 0.9, trustCoefficient: 0.01 },
  { name: "sgd", momentum: 0.9 },
];
const clippings = ["tensor", "sub-network", "global"] as const;

it.each(optimizers)("agrees on both engines from any state with $name and every clipping", async (optimizer) => {
  for (const clipping of clippings) {
    const changed = { ...options, optimizer: { ...optimizer, clipping, gradientClip: 0.7 } };
    expect(disagreement(await runBoth(trainStepProgram(changed), drawn(changed)))).toBeLessThan(1e-5);
  }
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
    expect(stepper.optimizerStep).toBe(2);
  });

  it("leaves a tensor alone that the loss does not depend on", async () => {
    const stepper = await stepperOn(engine);
    await stepper.take(batch, scalars);
    expect((await stepper.state()).parameters.slice(9)).toEqual(firstWeights().slice(9));
  });

  it.each(["host", "graph"] as const)("keeps the old state when the loss is not finite (%s)", async (guard) => {
    const stepper = await stepperOn(engine, { guard });
    await stepper.take(batch, scalars);
    const before = await stepper.state();
    const outcome = await stepper.take(poisoned, scalars);
    expect(outcome).toMatchObject({ finite: false, scaleLowered: false });
    expect(await stepper.state()).toEqual(before);
    expect((await stepper.take(batch, scalars)).finite).toBe(true);
  });

  it("hands the old state back itself when the graph guards it", async () => {
    const guarded = { ...options, guard: "graph" as const };
    const state = stateTensors(guarded, freshState(guarded, firstWeights()));
    const step = await engine.compile(trainStepProgram(guarded));
    const rest = { learningRate: scalar(0.1), weightDecay: scalar(0.5), step: scalar(1) };
    const refused = await step.run({ ...state, ...poisoned, ...rest });
    for (const [name, { data }] of Object.entries(state)) expect(refused[name]!.data, name).toEqual(data);
    const taken = await step.run({ ...state, ...batch, ...rest });
    expect(taken["parameter/weight"]!.data).not.toEqual(state["parameter/weight"]!.data);
  });

  it("clips the gradient of each tensor on its own, or of all together", async () => {
    const norms = async (clipping: "tensor" | "global"): Promise<number[]> => {
      const stepper = await stepperOn(engine, { optimizer: { ...adamw, gradientClip: 0.01, clipping } });
      await stepper.take(batch, scalars);
      const moment1 = (await stepper.state()).slots["moment1"]!;
      const norm = (from: number, to: number) => Math.hypot(...moment1.slice(from, to)) / 0.1;
      return [norm(0, 6), norm(6, 9), norm(0, 9)];
    };
    const [weight, bias] = await norms("tensor");
    expect([weight, bias].map((norm) => norm!.toFixed(5))).toEqual(["0.01000", "0.01000"]);
    expect((await norms("global"))[2]).toBeCloseTo(0.01, 5);
  });
});

it("resumes from a saved state with the same next step", async () => {
  const engine = compiledCpuEngine({ threads: 1 });
  for (const optimizer of optimizers) {
    const changed = { ...options, optimizer };
    const through = await stepperOn(engine, { optimizer });
    await through.take(batch, scalars);
    const saved = await through.state();
    await through.take(batch, scalars);
    const resumed = await Stepper.start(await engine.compile(trainStepProgram(changed)), changed, saved);
    await resumed.take(batch, scalars);
    expect(await resumed.state()).toEqual(await through.state());
  }
});

describe("loss scaling", () => {
  it("changes nothing but the scale", async () => {
    const changed = { ...options, optimizer: { ...adamw, gradientClip: 3 }, lossScaling: true };
    const inputs = drawn(changed);
    const plain = await runBoth(trainStepProgram({ ...changed, lossScaling: false }), inputs);
    const scaled = await runBoth(trainStepProgram(changed), { ...inputs, lossScale: scalar(2 ** 16) });
    for (const [name, expected] of Object.entries(plain.eager)) {
      expect(relativeDifference(expected, scaled.eager[name]!), name).toBeLessThan(1e-6);
      expect(relativeDifference(expected, scaled.compiled[name]!), name).toBeLessThan(1e-5);
    }
  });

  it("lowers the scale after a step that is not finite, and says so", async () => {
    const stepper = await stepperOn(compiledCpuEngine({ threads: 1 }), { lossScaling: true });
    // The loss stays a number, the squares of its scaled gradients do not.
    const large = { ...batch, scale: scalar(1e13) };
    expect(await stepper.take(large, scalars)).toMatchObject({ finite: false, scaleLowered: true });
    expect((await stepper.state()).lossScale).toEqual({ scale: 2 ** 15, finiteSteps: 0 });
    expect((await stepper.take(batch, scalars)).finite).toBe(true);
    expect((await stepper.state()).lossScale).toEqual({ scale: 2 ** 15, finiteSteps: 1 });
  });
});

it("names a method whose loss ignores its parameters", async () => {
  const method: SslMethod = {
    ...quadratic,
    loss: (_parameters, batchTensors) => ({ loss: batchTensors["scale"]!.asScalar(), terms: {} }),
  };
  const compiling = compiledCpuEngine({ threads: 1 }).compile(trainStepProgram({ ...options, method }));
  await expect(compiling).rejects.toThrow("the loss of method quadratic depends on none of its parameters");
});
