import { type OptimizerConfig, type RunConfig, totalSteps } from "../config/run-config.js";
import { unreachable } from "../errors.js";
import type { PlacedParameter } from "../params/layout.js";
import { learningRateAt, weightDecayAt } from "../schedules.js";

/** A trained weight larger than this would be remarkable; bounds what decay can move in a step. */
export const largestWeight = 4;
/** The same of a tensor's root mean square; bounds its norm. */
const largestSpread = 0.5;

type OptimizerOf<Name extends OptimizerConfig["name"]> = Extract<OptimizerConfig, { name: Name }>;
type Shaped = Pick<PlacedParameter, "shape" | "size" | "initializer">;

/** How far an optimiser can move one coordinate of a tensor. */
export interface Moves {
  readonly overRound: number;
  /** In the largest step of the run up to the round's end. */
  readonly inStep: number;
}

/** Steps of a run as far as bounds need them. */
interface Schedule {
  /** The round's steps. */
  readonly round: readonly { readonly rate: number; readonly decay: number }[];
  /** All up to the round's end. */
  readonly steps: number;
  /** Over all of these. */
  readonly largestRate: number;
  readonly largestDecay: number;
}

function scheduleOf(config: RunConfig, firstStep: number): Schedule {
  const end = Math.min(firstStep + config.training.stepsPerRound, totalSteps(config));
  const round: { rate: number; decay: number }[] = [];
  let [largestRate, largestDecay] = [0, 0];
  for (let step = 0; step < end; step++) {
    const [rate, decay] = [learningRateAt(step, config), weightDecayAt(step, config)];
    largestRate = Math.max(largestRate, rate);
    largestDecay = Math.max(largestDecay, decay);
    if (step >= firstStep) round.push({ rate, decay });
  }
  return { round, steps: end, largestRate, largestDecay };
}

/**
 * The bounds of a round for any tensor. A move that nothing bounds is the L2 norm that a site scales its whole update
 * down to, which no coordinate exceeds.
 * @param firstStep global step at which the round begins
 */
export function optimizerMoves(config: RunConfig, firstStep: number): (tensor: Shaped) => Moves {
  const { optimizer, aggregation } = config;
  const schedule = scheduleOf(config, firstStep);
  if (optimizer.name === "adamw") {
    const moves = adamwMoves(optimizer, schedule);
    return () => moves;
  }
  const rates = schedule.round.reduce((sum, { rate }) => sum + rate, 0);
  return (tensor) => {
    const move = momentumMove(optimizer, tensor, schedule);
    if (move === undefined) return { overRound: aggregation.l2Clip, inStep: aggregation.l2Clip };
    return { overRound: rates * move, inStep: schedule.largestRate * move };
  };
}

/** AdamW (Loshchilov and Hutter 2019): the step itself, and wd·|weight| of decay. */
function adamwMoves(optimizer: OptimizerOf<"adamw">, schedule: Schedule): Moves {
  const { round, steps, largestRate, largestDecay } = schedule;
  const step = largestAdamStep(optimizer, steps);
  const move = (decay: number) => step + decay * largestWeight;
  return {
    overRound: round.reduce((sum, { rate, decay }) => sum + rate * move(decay), 0),
    inStep: largestRate * move(largestDecay),
  };
}

/**
 * The largest |m̂|/√v̂ that any gradients g_0 … g_t give within so many steps. With m = (1−β1) Σ β1^i g and
 * v = (1−β2) Σ β2^i g², by Cauchy and Schwarz |m| ≤ (1−β1)/√(1−β2) · √(Σ (β1²/β2)^i) · √v; gradients that grow by β2/β1
 * from step to step reach it. Kingma and Ba's (1−β1)/√(1−β2) (2015, section 2.1) holds for one lone gradient only.
 */
export function largestAdamStep({ beta1, beta2 }: { beta1: number; beta2: number }, steps: number): number {
  let [largest, sum, ratio, left1, left2] = [0, 0, 1, 1, 1];
  for (let step = 0; step < steps; step++) {
    sum += ratio;
    ratio *= beta1 === 0 ? 0 : beta1 ** 2 / beta2;
    left1 *= beta1;
    left2 *= beta2;
    const correction = Math.sqrt(1 - left2) / (1 - left1);
    largest = Math.max(largest, ((1 - beta1) / Math.sqrt(1 - beta2)) * Math.sqrt(sum) * correction);
  }
  return largest;
}

/**
 * The momentum of LARS and SGD is at most 1/(1−μ) times the largest vector that a step adds to it.
 * @returns the largest move at rate one; undefined without a bound
 */
function momentumMove(optimizer: OptimizerOf<"lars" | "sgd">, tensor: Shaped, schedule: Schedule): number | undefined {
  const addend = momentumAddend(optimizer, tensor, schedule);
  return addend === undefined ? undefined : addend / (1 - optimizer.momentum);
}

/**
 * LARS (You, Gitman and Ginsburg 2017) adds a vector of norm at most η‖p‖, because ‖g + λp‖ ≤ ‖g‖ + λ‖p‖; tensors that
 * are not adapted, biases, norms and those that start at zero, take the gradient itself, whose norm the clipping bounds.
 * SGD adds the clipped gradient and, to tensors that decay, λp.
 */
function momentumAddend(
  optimizer: OptimizerOf<"lars" | "sgd">,
  { shape, size, initializer }: Shaped,
  { largestDecay }: Schedule,
): number | undefined {
  const { gradientClip } = optimizer;
  const matrix = shape.length > 1;
  switch (optimizer.name) {
    case "lars":
      if (!matrix || initializer.kind === "zeros") return gradientClip;
      return optimizer.trustCoefficient * largestSpread * Math.sqrt(size);
    case "sgd":
      return gradientClip === undefined ? undefined : gradientClip + (matrix ? largestDecay * largestWeight : 0);
    default:
      return unreachable(optimizer);
  }
}
