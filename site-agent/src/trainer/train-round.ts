import { AbortedError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { contributionVector } from "../update/strategy/contribution-vector.js";
import { cosineToAggregate } from "./aggregate-cosine.js";
import { beginRound } from "./begin-round.js";
import { checkpointVector } from "./checkpoint-state.js";
import { type Checkpoint, readCheckpoint } from "./checkpoint-vector.js";
import { deltaPath, removeOtherDeltas, writeDelta } from "./delta-file.js";
import { type LocalState, loadState, runDirectory, saveState } from "./local-state.js";
import { type PreparedRun, preparationKey, prepareRun, type TrainerParts } from "./prepared-run.js";
import type { CheckedJob, TrainedRound, TrainOptions } from "./protocol.js";
import { meanTerms } from "./round-terms.js";
import { statisticsRound } from "./statistics-round.js";
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
    const { method } = job.config;
    if (method.name === "clusters") return statisticsRound(job, method, options);
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
    const { config, round, firstStep, siteId, drawSeed, saveEveryMs } = job;
    const steps = config.training.stepsPerRound;
    onProgress?.({ phase: "preparing", step: 0, steps });
    const directory = await runDirectory(job.stateDirectory, job.runId);
    const run = await this.#prepared(job);
    const items = await run.list();
    const layout = checkpointLayout(config);
    const checkpoint = await readCheckpoint(job.checkpointPath, layout);
    const { shape, stepsPerCall } = run.step;
    const start = { round, checkpoint, layout, config, shape, stepsPerCall };
    const saved = await loadState(directory, shape);
    const begun = beginRound(saved, start);
    const cosine = begun === saved ? undefined : await cosineOf(saved, { job, run, checkpoint, layout });
    const numbers = cosine === undefined ? begun.numbers : { ...begun.numbers, cosine };
    const state = await takeSteps(
      { ...begun, numbers },
      {
        run,
        items,
        config,
        siteId,
        drawSeed,
        firstStep,
        saveEveryMs,
        now: () => this.#parts.now(),
        save: (reached) => saveState(directory, reached),
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      },
    );
    onProgress?.({ phase: "saving", step: state.numbers.step, steps });
    await saveState(directory, state);
    const delta = await writeDelta(deltaPath(directory, round), {
      trained: sentVector(state, { job, run, checkpoint, layout }),
      checkpoint: checkpoint.vector,
    });
    await removeOtherDeltas(directory, round);
    return trainedRound({ job, state, delta, run, sampleCount: items.length - run.quarantine.found });
  }

  async #prepared(job: CheckedJob): Promise<PreparedRun> {
    if (this.#run?.key !== preparationKey(job)) {
      await this.close();
      this.#run = await prepareRun(job, this.#parts);
    }
    return this.#run!;
  }
}

/** A round of this run, or of its last one. */
interface RoundFacts {
  readonly job: CheckedJob;
  readonly run: PreparedRun;
  readonly checkpoint: Checkpoint;
  readonly layout: ParameterLayout;
}

/** The vector of which the site sends the difference from the round's checkpoint. */
function sentVector({ training }: LocalState, { job, run, checkpoint, layout }: RoundFacts): Float32Array {
  return contributionVector({
    ...{ config: job.config, layout, global: checkpoint.vector },
    trained: checkpointVector(run.step.shape, training),
    teacherMomentum: teacherMomentumOf(run, job),
  });
}

/** Of the last round's update to what the cohort made of it, when a round begins. */
function cosineOf(saved: LocalState | undefined, facts: RoundFacts): Promise<number | undefined> {
  const { job, checkpoint, layout } = facts;
  const { stepsPerRound } = job.config.training;
  const lastJob = { ...job, firstStep: job.firstStep - stepsPerRound };
  return cosineToAggregate({
    ...{ saved, checkpoint, layout, stepsPerRound, round: job.round, earlierPath: job.earlierCheckpointPath },
    sentVector: (state, earlier) => sentVector(state, { ...facts, job: lastJob, checkpoint: earlier }),
  });
}

/** How much of the teacher that a round began with is left in it at the end: the product of its steps' momenta. */
function teacherMomentumOf({ step: { shape } }: PreparedRun, { config, firstStep }: CheckedJob): number {
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
    figures: {
      ...meanTerms(state.numbers.terms),
      ...(state.numbers.cosine === undefined ? {} : { cosine: state.numbers.cosine }),
    },
    steps: state.numbers.step,
    imagesPerSecond: imagesPerSecond(job.config, state.numbers),
    skipped: run.quarantine.counts(),
  };
}
