import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { StateShape } from "../engine/training-state.js";
import { roundStart } from "../update/strategy/round-start.js";
import { checkpointVector, stateAt } from "./checkpoint-state.js";
import type { Checkpoint } from "./checkpoint-vector.js";
import { digestText, type LocalState, type StateNumbers } from "./local-state.js";

/** A site that missed this many rounds in a row finds a model that its moments no longer describe. */
const forgetAfterMissedRounds = 2;

/** Steps over which the learning rate rises again after the moments were lost. */
export const rampSteps = 20;

export interface RoundStart {
  readonly round: number;
  readonly checkpoint: Checkpoint;
  /** The checkpoint's. */
  readonly layout: ParameterLayout;
  readonly config: Pick<RunConfig, "model" | "method" | "aggregation">;
  readonly shape: StateShape;
  /** Steps that are taken at a time; absent: 1. */
  readonly stepsPerCall?: number;
}

/**
 * The state in which the round's next step begins: in the middle of the round when the saved state is of this round
 * and checkpoint; otherwise where the run's strategy begins, which is at or near the checkpoint, with the optimiser's
 * moments and the method's own state of the round before where those are still of use. Where they are not, the method's
 * state begins anew.
 */
export function beginRound(saved: LocalState | undefined, start: RoundStart): LocalState {
  const { round, checkpoint, shape, layout, config } = start;
  if (saved !== undefined && isOfThisRound(saved, start)) return saved;
  const kept = stillUseful(saved, round) ? saved : undefined;
  const { vector, memory } = roundStart({
    ...{ config, layout, global: checkpoint.vector },
    own: kept && checkpointVector(shape, kept.training),
    missed: kept !== undefined && kept.numbers.round !== round - 1,
    memory: saved?.numbers.strategy ?? {},
  });
  return {
    numbers: {
      round,
      checkpointDigest: checkpoint.digest,
      layoutDigest: digestText(shape.layout),
      step: 0,
      // In the first round the schedule's own warm-up is enough.
      rampsUp: kept?.numbers.rampsUp ?? round > 0,
      nextBatch: saved?.numbers.nextBatch ?? 0,
      lossSum: 0,
      finiteSteps: 0,
      terms: {},
      trainedMs: 0,
      strategy: memory,
    },
    training: stateAt(shape, vector, kept?.training),
  };
}

/** A state between two calls, which one saved on another device need not be, cannot be gone on with. */
function isOfThisRound({ numbers }: LocalState, { round, checkpoint, stepsPerCall = 1 }: RoundStart): boolean {
  const same = numbers.round === round && numbers.checkpointDigest === checkpoint.digest;
  return same && numbers.step % stepsPerCall === 0;
}

function stillUseful(saved: LocalState | undefined, round: number): boolean {
  if (saved === undefined) return false;
  const missed = round - saved.numbers.round - 1;
  return missed >= 0 && missed < forgetAfterMissedRounds;
}

/** Factor on the scheduled learning rate. */
export function rampFactor({ rampsUp }: Pick<StateNumbers, "rampsUp">, optimizerStep: number): number {
  return rampsUp ? Math.min(1, (optimizerStep + 1) / rampSteps) : 1;
}
