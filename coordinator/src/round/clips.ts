import { type OptimizerConfig, type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { unreachable } from "@consilium/shared/errors.js";
import type { ParameterLayout, PlacedParameter } from "@consilium/shared/params/layout.js";
import { learningRateAt, weightDecayAt } from "@consilium/shared/schedules.js";

/** A trained weight larger than this would be remarkable; bounds what decay can move in a step. */
const largestWeight = 4;
/** The same of a tensor's root mean square; bounds its norm. */
const largestSpread = 0.5;
/** Room for rounding in 32-bit training. */
const slack = 1.2;
const smallestClip = 1e-8;

type AdamW = Extract<OptimizerConfig, { name: "adamw" }>;
type Lars = Extract<OptimizerConfig, { name: "lars" }>;

/**
 * For each tensor the largest change of one coordinate that a round of training can make: no honest site is clipped, and
 * the fixed point spends its bits on nothing larger.
 * @param firstStep global step at which the round begins
 */
export function tensorClips(config: RunConfig, layout: ParameterLayout, firstStep: number): number[] {
  return layout.parameters.map((parameter) => {
    const largest = slack * largestChange(config, parameter, firstStep);
    // Plans carry 32-bit floats; sites and coordinator must scale by the same number.
    return Math.fround(Math.max(smallestClip, largest));
  });
}

function largestChange(config: RunConfig, parameter: PlacedParameter, firstStep: number): number {
  const { optimizer, aggregation } = config;
  switch (optimizer.name) {
    case "adamw":
      return sumOverRound(config, firstStep, (step) => adamwMove(optimizer, weightDecayAt(step, config)));
    case "lars": {
      const move = larsMove(optimizer, parameter);
      const sum = move === undefined ? aggregation.l2Clip : sumOverRound(config, firstStep, () => move);
      // A site scales its whole update down to this norm, which no coordinate exceeds.
      return Math.min(aggregation.l2Clip, sum);
    }
    default:
      return unreachable(optimizer);
  }
}

/** Rate times the largest move at rate one, over the round's steps. */
function sumOverRound(config: RunConfig, firstStep: number, moveAt: (step: number) => number): number {
  const end = Math.min(firstStep + config.training.stepsPerRound, totalSteps(config));
  let sum = 0;
  for (let step = firstStep; step < end; step++) sum += learningRateAt(step, config) * moveAt(step);
  return sum;
}

/**
 * AdamW (Loshchilov and Hutter 2019) moves a coordinate in a step of rate one by at most max(1, (1−β1)/√(1−β2)) (Kingma
 * and Ba 2015, section 2.1), plus wd·|weight| of decay.
 */
function adamwMove({ beta1, beta2 }: AdamW, weightDecay: number): number {
  return Math.max(1, (1 - beta1) / Math.sqrt(1 - beta2)) + weightDecay * largestWeight;
}

/**
 * LARS (You, Gitman and Ginsburg 2017) adds to the momentum of a tensor, in each step, a vector of norm at most η‖p‖,
 * because ‖g + λp‖ ≤ ‖g‖ + λ‖p‖; the momentum is at most 1/(1−μ) times the largest of these. Tensors that are not
 * adapted, biases, norms and those that start at zero, take the gradient itself, whose norm the clipping bounds.
 * @returns undefined without such a bound
 */
function larsMove(optimizer: Lars, { shape, size, initializer }: PlacedParameter): number | undefined {
  const { momentum, trustCoefficient, gradientClip } = optimizer;
  const adapted = shape.length > 1 && initializer.kind !== "zeros";
  const addend = adapted ? trustCoefficient * largestSpread * Math.sqrt(size) : gradientClip;
  return addend === undefined ? undefined : addend / (1 - momentum);
}
