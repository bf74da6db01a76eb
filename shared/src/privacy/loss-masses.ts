import type { SampledGaussian } from "./mechanism.js";
import { logAdd, normalMass } from "./special.js";

/**
 * The distribution of the privacy loss log(P/Q) under P, on a grid: `masses[i]` lies at (first + i)·interval, and
 * `infinite` is the mass for which nothing is promised. It dominates the true one: δ(ε) is never too small.
 */
export interface LossMasses {
  readonly interval: number;
  readonly first: number;
  readonly masses: Float64Array;
  readonly infinite: number;
}

/**
 * Which neighbour is P. "remove": P has the unit, the mixture (1−q)·N(0,σ²) + q·N(1,σ²), and Q = N(0,σ²) lacks it.
 * "add": the other way round. Neither dominates the other, so an account needs both.
 */
export type Direction = "remove" | "add";

/** How many standard deviations of an output are kept; what lies beyond, below 1e-20, counts as infinite loss. */
const keptDeviations = 9.5;

/** One step as both distributions of its outputs, whose loss in the direction "remove" grows with the output. */
interface StepOutputs {
  readonly lowest: number;
  readonly highest: number;
  /** Loss of removal at an output. */
  loss(output: number): number;
  /** The output with that loss; −∞ where every output has more. */
  output(loss: number): number;
  /** Mass of (from, to] with the unit, and without it. */
  mixed(from: number, to: number): number;
  plain(from: number, to: number): number;
}

function stepOutputs({ noiseMultiplier: sigma, samplingRate: q }: SampledGaussian): StepOutputs {
  const twice = 2 * sigma * sigma;
  const plain = (from: number, to: number) => normalMass(from / sigma, to / sigma);
  return {
    lowest: -keptDeviations * sigma,
    highest: 1 + keptDeviations * sigma,
    plain,
    mixed: (from, to) => (1 - q) * plain(from, to) + q * normalMass((from - 1) / sigma, (to - 1) / sigma),
    loss(output) {
      const exponent = (2 * output - 1) / twice;
      if (q === 1) return exponent;
      return exponent < 1 ? Math.log1p(q * Math.expm1(exponent)) : logAdd(Math.log1p(-q), Math.log(q) + exponent);
    },
    output(loss) {
      if (q === 1) return (twice * loss + 1) / 2;
      // Below the least loss, log(1−q), there is nothing; for large ones e^loss alone counts.
      const odds = loss > 40 ? loss - Math.log(q) : Math.log1p(Math.max(-1, Math.expm1(loss) / q));
      return (twice * odds + 1) / 2;
    },
  };
}

/** Losses between two points of the grid: their mass under P and under Q. */
interface Bin {
  readonly p: number;
  readonly q: number;
}

/**
 * One step on the grid by connecting the dots of δ(ε) (Doroshenko et al. 2022): the mass of each bin is split between its
 * two ends so that its share of P and of Q both stay. Its error is of the order of interval², where rounding up has
 * interval.
 */
export function stepLosses(mechanism: SampledGaussian, direction: Direction, interval: number): LossMasses {
  const outputs = stepOutputs(mechanism);
  const losses = [outputs.loss(outputs.lowest), outputs.loss(outputs.highest)];
  const [least, most] = direction === "remove" ? [losses[0]!, losses[1]!] : [-losses[1]!, -losses[0]!];
  const first = Math.floor(least / interval);
  const bins = Math.ceil(most / interval) - first;
  const masses = new Float64Array(bins + 1);
  // Losses under the grid are raised to its first point.
  masses[0] = binOf(outputs, direction, Number.NEGATIVE_INFINITY, first * interval).p;
  for (let i = 0; i < bins; i++) {
    const lower = (first + i) * interval;
    const { p, q } = binOf(outputs, direction, lower, lower + interval);
    const upper = Math.min(p, Math.max(0, (p - Math.exp(lower) * q) / -Math.expm1(-interval)));
    masses[i]! += p - upper;
    masses[i + 1]! += upper;
  }
  const infinite = binOf(outputs, direction, (first + bins) * interval, Number.POSITIVE_INFINITY).p;
  return { interval, first, masses, infinite };
}

function binOf(outputs: StepOutputs, direction: Direction, from: number, to: number): Bin {
  if (direction === "remove") {
    const [low, high] = [outputs.output(from), outputs.output(to)];
    return { p: outputs.mixed(low, high), q: outputs.plain(low, high) };
  }
  const [low, high] = [outputs.output(-to), outputs.output(-from)];
  return { p: outputs.plain(low, high), q: outputs.mixed(low, high) };
}

/** log Σ mass·e^(λ·loss) over the finite losses: the moment that bounds the tails of sums. */
export function logMoment({ interval, first, masses }: LossMasses, lambda: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  const logs = masses.map((mass, i) => {
    const term = Math.log(mass) + lambda * (first + i) * interval;
    largest = Math.max(largest, term);
    return term;
  });
  return largest + Math.log(logs.reduce((sum, term) => sum + Math.exp(term - largest), 0));
}
