import type { MethodConfig, RunConfig } from "../config/run-config.js";
import { unreachable } from "../errors.js";
import { type CarriedKind, carriedTensors } from "../params/carried.js";
import { clusterTensors } from "../params/cluster-tensors.js";
import type { ParameterLayout } from "../params/layout.js";
import { largestWeight, type Moves, optimizerMoves } from "./optimizer-moves.js";

/** Room for rounding in 32-bit training. */
const slack = 1.2;
const smallestClip = 1e-8;

/** A centre is a mean of logits, which are products of unit vectors: within [−1, 1], so that a round moves it by two. */
const centreChange = 2;
/** The same with prototypes whose lengths are trained, from one; room for lengths of eight. */
const freeCentreChange = 16;

/**
 * Running means and variances are in the units of activations, which no schedule bounds. After normalised pixels they
 * are far below this; the price is a coarser fixed point for these tensors alone.
 */
const statisticsChange = 1000;

/**
 * For each tensor of the checkpoint the largest change of one coordinate that a round of training can make: no honest
 * site is clipped, and the fixed point spends its bits on nothing larger.
 * @param layout the checkpoint's
 * @param firstStep global step at which the round begins
 */
export function tensorClips(config: RunConfig, layout: ParameterLayout, firstStep: number): number[] {
  const { method, aggregation } = config;
  // A site scales its whole update down to the norm, which no coordinate exceeds. Plans carry 32-bit floats; sites and
  // coordinator must scale by the same number.
  const clip = (largest: number) => Math.fround(Math.max(smallestClip, slack * Math.min(aggregation.l2Clip, largest)));
  // From one end of its range to the other.
  if (method.name === "clusters") return clusterTensors(method).map(({ range }) => clip(2 * range));
  const kinds = new Map(carriedTensors(config).map(({ name, kind }): [string, CarriedKind] => [name, kind]));
  const movesOf = optimizerMoves(config, firstStep);
  return layout.parameters.map((parameter) => {
    return clip(largestChange(config, kinds.get(parameter.name), () => movesOf(parameter)));
  });
}

/** @param kind undefined for a trained tensor */
function largestChange(config: RunConfig, kind: CarriedKind | undefined, moves: () => Moves): number {
  switch (kind) {
    case undefined:
      return moves().overRound + (studentLeaps(config) ? largestWeight : 0);
    case "teacher":
      return config.training.stepsPerRound * moves().inStep + (teacherLeaps(config) ? largestWeight : 0);
    case "centre":
      return hasUnitPrototypes(config.method) ? centreChange : freeCentreChange;
    case "statistics":
      return statisticsChange;
    default:
      return unreachable(kind);
  }
}

/** Rules by which a site begins elsewhere than at the checkpoint, or scales what it sends. */
function studentLeaps({ aggregation }: RunConfig): boolean {
  const { name } = aggregation.strategy;
  return name === "fedema" || name === "fedu" || name === "l-dawa";
}

/**
 * A teacher lags behind its student by at most m/(1−m) of the student's largest steps so far, so that it takes no larger
 * step itself. That holds while its momentum does not fall and nothing else moves student or teacher.
 */
function teacherLeaps(config: RunConfig): boolean {
  const { method, aggregation } = config;
  const falls = "finalMomentum" in method && method.finalMomentum < method.momentum;
  return falls || studentLeaps(config) || aggregation.teacher === "fedema" || aggregation.teacher === "server-ema";
}

function hasUnitPrototypes(method: MethodConfig): boolean {
  return "normalizeLastLayer" in method && method.normalizeLastLayer;
}
