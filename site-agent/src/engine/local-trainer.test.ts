import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError } from "@consilium/shared/errors.js";
import { expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { type LocalTraining, type StepReport, trainLocally } from "./local-trainer.js";
import { Stepper } from "./stepper.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";
import { freshState } from "./training-state.js";

const options: TrainStepOptions = {
  method: quadratic,
  layout: quadraticLayout,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999 },
  batchSize: 2,
};

function batchOf(scale: number): HostTensors {
  return {
    view: { shape: [2, 1, 1, 3], data: Uint8Array.of(10, 20, 30, 240, 250, 200) },
    scale: { shape: [], data: Float32Array.of(scale) },
  };
}

async function* batchesOf(...scales: number[]): AsyncGenerator<HostTensors> {
  for (const scale of scales) yield batchOf(scale);
}

async function stepperFor(changes: Partial<TrainStepOptions> = {}): Promise<Stepper> {
  const changed = { ...options, ...changes };
  const step = await compiledCpuEngine({ threads: 1 }).compile(trainStepProgram(changed));
  return Stepper.start(step, changed, freshState(changed, new Float32Array(changed.layout.dimension)));
}

async function training(overrides: Partial<LocalTraining>): Promise<LocalTraining> {
  return {
    stepper: await stepperFor(),
    batches: batchesOf(1, 1, 1, 1),
    batchSize: 2,
    firstStep: 10,
    steps: 3,
    learningRateAt: (globalStep) => globalStep / 1000,
    weightDecayAt: () => 0,
    clock: new ManualClock(),
    ...overrides,
  };
}

async function reportsOf(run: LocalTraining): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  for await (const report of trainLocally(run)) reports.push(report);
  return reports;
}

it("takes the asked steps on the global schedule", async () => {
  const run = await training({});
  const reports = await reportsOf(run);
  expect(reports.map(({ step, learningRate }) => [step, learningRate])).toEqual([
    [10, 0.01],
    [11, 0.011],
    [12, 0.012],
  ]);
  expect(reports[2]!.loss).toBeLessThan(reports[0]!.loss);
  expect(run.stepper.optimizerStep).toBe(3);
});

it("survives one bad batch and gives up after three in a row, with the state intact", async () => {
  const bad = Number.NaN;
  expect((await reportsOf(await training({ batches: batchesOf(1, bad, 1) }))).map(({ finite }) => finite)).toEqual([
    true,
    false,
    true,
  ]);
  const run = await training({ batches: batchesOf(1, bad, bad, bad), steps: 9 });
  await expect(reportsOf(run)).rejects.toMatchObject({ code: "not-finite" });
  expect(run.stepper.optimizerStep).toBe(1);
  expect((await run.stepper.state()).parameters.every(Number.isFinite)).toBe(true);
});

it("does not give up while the loss scale falls", async () => {
  const large = Array.from({ length: 5 }, () => 1e16);
  const run = await training({
    stepper: await stepperFor({ lossScaling: true }),
    batches: batchesOf(...large, 1),
    steps: 6,
  });
  expect((await reportsOf(run)).map(({ finite, scaleLowered }) => [finite, scaleLowered])).toEqual([
    ...large.map(() => [false, true]),
    [true, false],
  ]);
});

it("hands each step the method's scalars", async () => {
  const seen: number[] = [];
  const note = (step: number): number => {
    seen.push(step);
    return step;
  };
  const method = { ...quadratic, scalars: { temperature: note } };
  await reportsOf(await training({ stepper: await stepperFor({ method }), scalars: method.scalars }));
  expect(seen).toEqual([10, 11, 12]);
});

it("stops between steps when asked, and says when batches run out", async () => {
  const controller = new AbortController();
  const run = await training({ signal: controller.signal });
  const reports = trainLocally(run);
  await reports.next();
  controller.abort();
  await expect(reports.next()).rejects.toThrow(AbortedError);
  expect(run.stepper.optimizerStep).toBe(1);
  await expect(reportsOf(await training({ batches: batchesOf(1) }))).rejects.toMatchObject({ code: "not-enough-data" });
});
