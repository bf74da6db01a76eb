import type { Clock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../model/tensors.js";
import type { SslMethod } from "../ssl/method.js";
import type { StepOutcome, Stepper } from "./stepper.js";

export interface LocalTraining {
  /** Holds the state, which is whole after every report and after every error. */
  readonly stepper: Stepper;
  /** Views and extra inputs, one batch per step. */
  readonly batches: AsyncIterable<HostTensors>;
  readonly batchSize: number;
  /** Global step of the first local step. */
  readonly firstStep: number;
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
  const { batches, steps, firstStep, clock, signal } = training;
  let [taken, failedInARow] = [0, 0];
  if (steps === 0) return;
  let startedMs = clock.now();
  for await (const batch of batches) {
    if (signal?.aborted) throw new AbortedError();
    const report = await takeStep(training, { batch, step: firstStep + taken, startedMs });
    if (report.finite) failedInARow = 0;
    else if (!report.scaleLowered) failedInARow++;
    taken++;
    yield report;
    if (failedInARow === hopelessSteps) throw notFinite(report.step);
    if (taken === steps) return;
    startedMs = clock.now();
  }
  throw new ConsiliumError("not-enough-data", `the batches ended after ${taken} of ${steps} steps`);
}

interface OneStep {
  readonly batch: HostTensors;
  readonly step: number;
  readonly startedMs: number;
}

async function takeStep(training: LocalTraining, { batch, step, startedMs }: OneStep): Promise<StepReport> {
  const { stepper, batchSize, clock, learningRateAt, weightDecayAt } = training;
  const learningRate = learningRateAt(step);
  const own = Object.entries(training.scalars ?? {}).map(([name, valueAt]) => [name, valueAt(step)]);
  const scalars = { ...Object.fromEntries(own), learningRate, weightDecay: weightDecayAt(step) };
  const outcome = await stepper.take(batch, scalars);
  // A coarse clock may see no time pass.
  const seconds = Math.max(clock.now() - startedMs, 1) / 1000;
  return { ...outcome, step, learningRate, imagesPerSecond: batchSize / seconds };
}

function notFinite(step: number): ConsiliumError {
  return new ConsiliumError(
    "not-finite",
    `the loss or a gradient was not finite in ${hopelessSteps} steps in a row, the last one step ${step}`,
    { remedy: "lower the learning rate, clip gradients, or look for damaged images" },
  );
}
