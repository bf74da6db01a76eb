import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError } from "@consilium/shared/errors.js";
import { expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { type LocalTraining, type StepReport, trainLocally } from "./local-trainer.js";
import { Stepper } from "./stepper.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import { trainStepProgram } from "./train-step.js";
import { freshState } from "./training-state.js";

const optimizer = { beta1: 0.9, beta2: 0.999 };
const program = trainStepProgram({ method: quadratic, layout: quadraticLayout, optimizer, batchSize: 2 });

function batchOf(scale: number): HostTensors {
  return {
    view: { shape: [2, 1, 1, 3], data: Uint8Array.of(10, 20, 30, 240, 250, 200) },
    scale: { shape: [], data: Float32Array.of(scale) },
  };
}

async function* batchesOf(...scales: number[]): AsyncGenerator<HostTensors> {
  for (const scale of scales) yield batchOf(scale);
}

async function training(overrides: Partial<LocalTraining>): Promise<LocalTraining> {
  const step = await compiledCpuEngine({ threads: 1 }).compile(program);
  return {
    stepper: new Stepper(step, quadraticLayout, freshState(new Float32Array(quadraticLayout.dimension))),
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
  expect(run.stepper.state.optimizerStep).toBe(3);
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
  expect(run.stepper.state.optimizerStep).toBe(1);
  expect(run.stepper.state.parameters.every(Number.isFinite)).toBe(true);
});

it("stops between steps when asked, and says when batches run out", async () => {
  const controller = new AbortController();
  const run = await training({ signal: controller.signal });
  const reports = trainLocally(run);
  await reports.next();
  controller.abort();
  await expect(reports.next()).rejects.toThrow(AbortedError);
  expect(run.stepper.state.optimizerStep).toBe(1);
  await expect(reportsOf(await training({ batches: batchesOf(1) }))).rejects.toMatchObject({ code: "not-enough-data" });
});
