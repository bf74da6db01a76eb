import type { Clock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../model/tensors.js";
import type { SslMethod } from "../ssl/method.js";
import type { StepOutcome, StepScalars, StepTaker } from "./stepper.js";

export interface LocalTraining {
  /** Holds the state, which is whole after every report and after every error. */
  readonly stepper: StepTaker;
  /** Views and extra inputs, one batch per step. */
  readonly batches: AsyncIterable<HostTensors>;
  readonly batchSize: number;
  /** Global step of the first local step. */
  readonly firstStep: number;
  /** A multiple of the steps that the stepper takes in a call. */
  readonly steps: number;
  /** Functions of the global step. */
  readonly learningRateAt: (step: number) => number;
  readonly weightDecayAt: (step: number) => number;
  /** The method's own scalars. */
  readonly scalars?: SslMethod["scalars"];
  readonly clock: Pick<Clock, "now">;
  readonly signal?: AbortSignal;
}

export interface StepReport extends StepOutcome {
  /** Global step, from 0. */
  readonly step: number;
  readonly learningRate: number;
  /** Of this step, waiting for its batch included. */
  readonly imagesPerSecond: number;
}

/** A run whose steps fail so often in a row does not recover by itself. */
const hopelessSteps = 3;

/**
 * Takes local steps, one report each.
 * @throws ConsiliumError "not-finite" after three steps in a row whose loss or gradients were not finite, those aside
 *   that lowered a loss scale; "not-enough-data" when the batches end first; AbortedError between two steps
 */
export async function* trainLocally(training: LocalTraining): AsyncGenerator<StepReport, void, void> {
  const { batches, steps, firstStep, stepper, clock, signal } = training;
  let [taken, failedInARow] = [0, 0];
  if (steps === 0) return;
  let startedMs = clock.now();
  let waiting: HostTensors[] = [];
  for await (const batch of batches) {
    if (signal?.aborted) throw new AbortedError();
    waiting.push(batch);
    if (waiting.length < stepper.stepsPerCall) continue;
    for (const report of await takeSteps(training, { batches: waiting, firstStep: firstStep + taken, startedMs })) {
      if (report.finite) failedInARow = 0;
      else if (!report.scaleLowered) failedInARow++;
      taken++;
      yield report;
      if (failedInARow === hopelessSteps) throw notFinite(report.step);
    }
    if (taken >= steps) return;
    waiting = [];
    startedMs = clock.now();
  }
  throw new ConsiliumError("not-enough-data", `the batches ended after ${taken} of ${steps} steps`);
}

interface OneCall {
  readonly batches: readonly HostTensors[];
  /** Global step of the first. */
  readonly firstStep: number;
  readonly startedMs: number;
}

async function takeSteps(training: LocalTraining, { batches, firstStep, startedMs }: OneCall): Promise<StepReport[]> {
  const { stepper, batchSize, clock } = training;
  const requests = batches.map((batch, index) => ({ batch, scalars: scalarsAt(firstStep + index, training) }));
  const outcomes = await stepper.takeCall(requests);
  // A coarse clock may see no time pass.
  const seconds = Math.max(clock.now() - startedMs, 1) / 1000;
  const imagesPerSecond = (batchSize * outcomes.length) / seconds;
  return outcomes.map((outcome, index) => {
    const { learningRate } = requests[index]!.scalars;
    return { ...outcome, step: firstStep + index, learningRate, imagesPerSecond };
  });
}

function scalarsAt(step: number, { learningRateAt, weightDecayAt, scalars = {} }: LocalTraining): StepScalars {
  const own = Object.entries(scalars).map(([name, valueAt]) => [name, valueAt(step)]);
  return { ...Object.fromEntries(own), learningRate: learningRateAt(step), weightDecay: weightDecayAt(step) };
}

function notFinite(step: number): ConsiliumError {
  return new ConsiliumError(
    "not-finite",
    `the loss or a gradient was not finite in ${hopelessSteps} steps in a row, the last one step ${step}`,
    { remedy: "lower the learning rate, clip gradients, or look for damaged images" },
  );
}
