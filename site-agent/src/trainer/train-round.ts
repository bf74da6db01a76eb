import { AbortedError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { contributionVector } from "../update/strategy/contribution-vector.js";
import { beginRound } from "./begin-round.js";
import { checkpointVector } from "./checkpoint-state.js";
import { readCheckpoint } from "./checkpoint-vector.js";
import { deltaPath, removeOtherDeltas, writeDelta } from "./delta-file.js";
import { type LocalState, loadState, runDirectory, saveState } from "./local-state.js";
import { type PreparedRun, preparationKey, prepareRun, type TrainerParts } from "./prepared-run.js";
import type { CheckedJob, TrainedRound, TrainOptions } from "./protocol.js";
import { imagesPerSecond, takeSteps } from "./step-loop.js";

/** Trains rounds one after the other in this process, keeping what the rounds of a run share. */
export class RoundTrainer {
  readonly #parts: TrainerParts;
  #run: PreparedRun | undefined;

  constructor(parts: TrainerParts) {
    this.#parts = parts;
  }

  /**
   * A round that was interrupted goes on where it was saved; one that was finished gives the same delta again.
   * @throws ConsiliumError, AbortedError
   */
  async train(job: CheckedJob, options: TrainOptions = {}): Promise<TrainedRound> {
    try {
      return await this.#train(job, options);
    } catch (thrown) {
      // Whatever failed may be part of what was kept, such as a thread that ended.
      if (!(thrown instanceof AbortedError)) await this.close();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    await run?.close();
  }

  async #train(job: CheckedJob, { onProgress, signal }: TrainOptions): Promise<TrainedRound> {
    const { config, round, firstStep, siteId, saveEveryMs } = job;
    const steps = config.training.stepsPerRound;
    onProgress?.({ phase: "preparing", step: 0, steps });
    const directory = await runDirectory(job.stateDirectory, job.runId);
    const run = await this.#prepared(job);
    const items = await run.list();
    const layout = checkpointLayout(config);
    const checkpoint = await readCheckpoint(job.checkpointPath, layout);
    const { shape, calls } = run;
    const start = { round, checkpoint, layout, config, shape, stepsPerCall: calls.count };
    const state = await takeSteps(beginRound(await loadState(directory, shape), start), {
      run,
      items,
      config,
      siteId,
      firstStep,
      saveEveryMs,
      now: () => this.#parts.now(),
      save: (reached) => saveState(directory, reached),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
    onProgress?.({ phase: "saving", step: state.numbers.step, steps });
    await saveState(directory, state);
    const delta = await writeDelta(deltaPath(directory, round), {
      trained: contributionVector({
        ...{ config, layout, global: checkpoint.vector },
        trained: checkpointVector(shape, state.training),
        teacherMomentum: teacherMomentumOf(run, job),
      }),
      checkpoint: checkpoint.vector,
    });
    await removeOtherDeltas(directory, round);
    return trainedRound({ job, state, delta, run, sampleCount: items.length - run.quarantine.size });
  }

  async #prepared(job: CheckedJob): Promise<PreparedRun> {
    if (this.#run?.key !== preparationKey(job)) {
      await this.close();
      this.#run = await prepareRun(job, this.#parts);
    }
    return this.#run!;
  }
}

/** How much of the teacher that a round began with is left in it at the end: the product of its steps' momenta. */
function teacherMomentumOf({ shape }: PreparedRun, { config, firstStep }: CheckedJob): number {
  const momentumAt = shape.method.scalars?.["teacherMomentum"] ?? (() => 1);
  let product = 1;
  for (let step = 0; step < config.training.stepsPerRound; step++) product *= momentumAt(firstStep + step);
  return product;
}

interface Finished {
  readonly job: CheckedJob;
  readonly state: LocalState;
  readonly delta: { readonly path: string; readonly digest: string };
  readonly run: PreparedRun;
  readonly sampleCount: number;
}

function trainedRound({ job, state, delta, run, sampleCount }: Finished): TrainedRound {
  return {
    deltaPath: delta.path,
    deltaDigest: delta.digest,
    sampleCount,
    meanLoss: state.numbers.lossSum / Math.max(1, state.numbers.finiteSteps),
    steps: state.numbers.step,
    imagesPerSecond: imagesPerSecond(job.config, state.numbers),
    skipped: run.quarantine.counts(),
  };
}
