import { type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { learningRateAt, weightDecayAt } from "@consilium/shared/schedules.js";

/** A trained weight larger than this would be remarkable; bounds what decay can move in a step. */
const largestWeight = 4;
/** Room for rounding in 32-bit training. */
const slack = 1.2;
const smallestClip = 1e-8;

/**
 * The largest change of one coordinate that a round of training can make: no honest site is clipped, and the fixed
 * point spends its bits on nothing larger.
 *
 * AdamW (Loshchilov and Hutter 2019) moves a coordinate in a step by at most lr·max(1, (1−β1)/√(1−β2)) (Kingma and Ba
 * 2015, section 2.1), plus lr·wd·|weight| of decay. The bound is the sum over the round's steps.
 * @param firstStep global step at which the round begins
 */
export function coordinateClip(config: RunConfig, firstStep: number): number {
  const { beta1, beta2 } = config.optimizer;
  const largestMove = Math.max(1, (1 - beta1) / Math.sqrt(1 - beta2));
  const end = Math.min(firstStep + config.training.stepsPerRound, totalSteps(config));
  let sum = 0;
  for (let step = firstStep; step < end; step++) {
    sum += learningRateAt(step, config) * (largestMove + weightDecayAt(step, config) * largestWeight);
  }
  // Plans carry 32-bit floats; sites and coordinator must scale by the same number.
  return Math.fround(Math.max(smallestClip, slack * sum));
}
