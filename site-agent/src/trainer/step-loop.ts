import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { DrawSeed } from "@consilium/shared/random.js";
import { learningRateAt, weightDecayAt } from "@consilium/shared/schedules.js";
import type { ItemList } from "../data/index/item-list.js";
import { type StepReport, trainLocally } from "../engine/local-trainer.js";
import type { StepTaker } from "../engine/stepper.js";
import { rampFactor } from "./begin-round.js";
import type { LocalState, StateNumbers } from "./local-state.js";
import type { PreparedRun } from "./prepared-run.js";
import type { TrainProgress } from "./protocol.js";
import { addTerms, type StepTerms, termsOfStep } from "./round-terms.js";
import { stepBatches } from "./step-batches.js";

export interface StepLoopOptions {
  readonly run: PreparedRun;
  readonly items: ItemList;
  readonly config: RunConfig;
  readonly siteId: string;
  readonly drawSeed: DrawSeed;
  /** Global step of the round's first local step. */
  readonly firstStep: number;
  readonly now: () => number;
  readonly saveEveryMs: number;
  readonly save: (state: LocalState) => Promise<void>;
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly signal?: AbortSignal;
}

/** Saving may take at most this share of the time. */
const savingShare = 0.05;

/**
 * Takes the steps of a round that are still to do. Saves in between and when the signal fires.
 * @throws ConsiliumError "not-finite", "not-enough-data", "storage"; AbortedError, after the state was saved
 */
export async function takeSteps(start: LocalState, options: StepLoopOptions): Promise<LocalState> {
  const stepper = await options.run.step.start(start.training);
  try {
    return await new StepLoop(stepper, start.numbers, options).run();
  } finally {
    await stepper.release();
  }
}

class StepLoop {
  readonly #options: StepLoopOptions;
  readonly #stepper: StepTaker;
  #numbers: StateNumbers;
  #savedAt: number;
  /** Or when the loop began, or a save ended: what lies between is training and waiting for images. */
  #stepEndedAt: number;
  #saveTookMs = 0;
  #batchesReady = 0;

  constructor(stepper: StepTaker, numbers: StateNumbers, options: StepLoopOptions) {
    this.#options = options;
    this.#stepper = stepper;
    this.#numbers = numbers;
    this.#savedAt = options.now();
    this.#stepEndedAt = this.#savedAt;
  }

  async run(): Promise<LocalState> {
    try {
      await this.#takeSteps();
    } catch (thrown) {
      if (thrown instanceof AbortedError) await this.#options.save(await this.#state());
      throw thrown;
    }
    if (this.#numbers.finiteSteps === 0) throw neverFinite(this.#numbers.step);
    return this.#state();
  }

  async #takeSteps(): Promise<void> {
    const { config, firstStep, now, signal } = this.#options;
    const { batchSize, stepsPerRound } = config.training;
    const reports = trainLocally({
      stepper: this.#stepper,
      batches: stepBatches({
        ...this.#options,
        first: this.#numbers.nextBatch,
        onAsked: ({ ready }) => {
          this.#batchesReady = ready;
        },
      }),
      batchSize,
      firstStep: firstStep + this.#numbers.step,
      steps: stepsPerRound - this.#numbers.step,
      learningRateAt: (step) => learningRateAt(step, config) * rampFactor(this.#numbers, this.#updatesBefore(step)),
      weightDecayAt: (step) => weightDecayAt(step, config),
      scalars: this.#options.run.step.shape.method.scalars ?? {},
      clock: { now },
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const report of reports) {
      const terms = termsOfStep(report, this.#options.run.step.partImages);
      this.#count(report, terms);
      this.#tell(report, terms);
      // Inside a call the stepper's state is that of the call's end already.
      const betweenCalls = this.#numbers.step % this.#stepper.stepsPerCall === 0;
      if (betweenCalls && this.#numbers.step < stepsPerRound) await this.#saveWhenDue();
    }
  }

  /** Updates before a global step, if those of the same call before it succeed. */
  #updatesBefore(step: number): number {
    const ahead = step - (this.#options.firstStep + this.#numbers.step);
    return this.#stepper.optimizerStep + ahead;
  }

  #count({ finite, loss }: StepReport, terms: StepTerms): void {
    const before = this.#numbers;
    const endedAt = this.#options.now();
    this.#numbers = {
      ...before,
      step: before.step + 1,
      nextBatch: before.nextBatch + 1,
      finiteSteps: before.finiteSteps + (finite ? 1 : 0),
      lossSum: before.lossSum + (finite ? loss : 0),
      terms: addTerms(before.terms, terms),
      trainedMs: before.trainedMs + endedAt - this.#stepEndedAt,
    };
    this.#stepEndedAt = endedAt;
  }

  #tell({ finite, loss }: StepReport, terms: StepTerms): void {
    const { config, onProgress } = this.#options;
    onProgress?.({
      phase: "training",
      step: this.#numbers.step,
      steps: config.training.stepsPerRound,
      imagesPerSecond: imagesPerSecond(config, this.#numbers),
      batchesReady: this.#batchesReady,
      ...(finite ? { loss, terms } : {}),
    });
  }

  async #saveWhenDue(): Promise<void> {
    const { now, saveEveryMs, save } = this.#options;
    const startedAt = now();
    if (startedAt - this.#savedAt < Math.max(saveEveryMs, this.#saveTookMs / savingShare)) return;
    await save(await this.#state());
    this.#savedAt = now();
    this.#stepEndedAt = this.#savedAt;
    this.#saveTookMs = this.#savedAt - startedAt;
  }

  async #state(): Promise<LocalState> {
    return { numbers: this.#numbers, training: await this.#stepper.state() };
  }
}

export function imagesPerSecond({ training }: RunConfig, { step, trainedMs }: StateNumbers): number {
  return trainedMs === 0 ? 0 : (1000 * step * training.batchSize) / trainedMs;
}

function neverFinite(steps: number): ConsiliumError {
  return new ConsiliumError("not-finite", `the loss or a gradient was not finite in any of ${steps} steps`, {
    remedy: "lower the run's learning rate, clip gradients, or look for damaged images",
  });
}
