import { type Complex, type FourierTransform, fourierTransform, multiply, raise } from "./fft.js";
import { type Direction, type LossMasses, logMoment, stepLosses } from "./loss-masses.js";
import { requireDelta, requireMechanism, type SampledGaussian } from "./mechanism.js";
import { composeRdp, orderGrid, rdpCurve } from "./rdp.js";

/**
 * The privacy loss of runs of the sampled Gaussian on the same units, composed numerically (Koskela et al. 2020; Gopi,
 * Lee and Wutschitz 2021). Tighter than RDP. Answers are upper bounds up to the rounding of double precision, for which
 * an allowance is added; they are tight for δ well above 1e-14 times the steps.
 */
export interface PrivacyLoss {
  readonly remove: LossMasses;
  readonly add: LossMasses;
}

/** Points that the losses of all steps together are spread over. */
const gridPoints = 2 ** 17;
/** Mass outside the grid on either side; it counts as infinite loss. */
const cutMass = 1e-14;
/** What rounding may lose for each step; at most half of it was seen in random settings. */
const roundingPerStep = 2 ** -47;

/** @throws ConsiliumError "config-invalid" for an impossible mechanism */
export function privacyLoss(mechanisms: readonly SampledGaussian[]): PrivacyLoss {
  for (const mechanism of mechanisms) requireMechanism(mechanism);
  const run = mechanisms.filter((mechanism) => mechanism.steps > 0);
  if (run.length === 0) return { remove: noLoss, add: noLoss };
  const plan = gridFor(run);
  const remove = compose(run, "remove", plan);
  return { remove, add: run.every(({ samplingRate }) => samplingRate === 1) ? remove : compose(run, "add", plan) };
}

const noLoss: LossMasses = { interval: 1, first: 0, masses: Float64Array.of(1), infinite: 0 };

interface GridPlan {
  readonly interval: number;
  /** Chernoff exponents that bound the upper and the lower tail best. */
  readonly upper: number;
  readonly lower: number;
}

/** RDP bounds both tails of the loss: its moments are E[e^((α−1)·loss)], and the same curve holds the other way round. */
function gridFor(mechanisms: readonly SampledGaussian[]): GridPlan {
  const curve = composeRdp(mechanisms.map((mechanism) => rdpCurve(mechanism)));
  const tail = -Math.log(cutMass);
  const highest = leastAt(orderGrid.map((order, i) => curve[i]! + tail / (order - 1)));
  const lowest = leastAt(orderGrid.map((order, i) => ((order - 1) * curve[i]! + tail) / order));
  return {
    interval: (highest.value + lowest.value) / (0.95 * gridPoints),
    upper: orderGrid[highest.index]! - 1,
    lower: -orderGrid[lowest.index]!,
  };
}

function leastAt(values: readonly number[]): { value: number; index: number } {
  const value = Math.min(...values);
  return { value, index: values.indexOf(value) };
}

function compose(mechanisms: readonly SampledGaussian[], direction: Direction, plan: GridPlan): LossMasses {
  const { interval } = plan;
  const parts = mechanisms.map((mechanism) => ({
    steps: mechanism.steps,
    losses: stepLosses(mechanism, direction, interval),
  }));
  const bound = (lambda: number) => {
    const moment = parts.reduce((sum, { steps, losses }) => sum + steps * logMoment(losses, lambda), 0);
    return (moment - Math.log(cutMass)) / lambda;
  };
  const first = Math.floor(bound(plan.lower) / interval);
  const points = Math.ceil(bound(plan.upper) / interval) - first + 1;
  const longest = Math.max(...parts.map(({ losses }) => losses.masses.length));
  const transform = fourierTransform(2 ** Math.ceil(Math.log2(Math.max(points, longest))));
  const masses = convolve(parts, transform, first);
  const infinite = parts.reduce((sum, { steps, losses }) => sum + steps * (losses.infinite + roundingPerStep), cutMass);
  return { interval, first, masses, infinite };
}

interface Repeated {
  readonly steps: number;
  readonly losses: LossMasses;
}

/** Positions are taken modulo the transform's size, so a sum lands where it belongs if it lies on the grid at all. */
function convolve(parts: readonly Repeated[], transform: FourierTransform, first: number): Float64Array {
  const { size } = transform;
  const at = (index: number) => ((index % size) + size) % size;
  const spectra = parts.map(({ steps, losses }) => {
    const spectrum: Complex = { re: new Float64Array(size), im: new Float64Array(size) };
    const start = at(losses.first);
    for (const [i, mass] of losses.masses.entries()) spectrum.re[at(start + i)] = mass;
    transform.forward(spectrum);
    raise(spectrum, steps);
    return spectrum;
  });
  const [total, ...others] = spectra;
  for (const other of others) multiply(total!, other);
  transform.inverse(total!);
  const start = at(first);
  return Float64Array.from({ length: size }, (_, i) => Math.max(0, total!.re[at(start + i)]!));
}

/** δ for ε ≥ 0: the larger of both directions, at most one. */
export function deltaFromLoss({ remove, add }: PrivacyLoss, epsilon: number): number {
  return Math.min(1, Math.max(deltaOf(remove, epsilon), deltaOf(add, epsilon)));
}

function deltaOf({ interval, first, masses, infinite }: LossMasses, epsilon: number): number {
  let delta = infinite;
  for (let i = masses.length - 1; i >= 0; i--) {
    const loss = (first + i) * interval;
    if (loss <= epsilon) break;
    delta -= masses[i]! * Math.expm1(epsilon - loss);
  }
  return delta;
}

/**
 * The least ε ≥ 0 for δ, the larger of both directions; Infinity where no ε reaches it.
 * @throws ConsiliumError "config-invalid" for a delta outside (0, 1)
 */
export function epsilonFromLoss({ remove, add }: PrivacyLoss, delta: number): number {
  requireDelta(delta);
  return remove === add ? epsilonOf(remove, delta) : Math.max(epsilonOf(remove, delta), epsilonOf(add, delta));
}

/**
 * Walks down the grid. With S the mass above ε and V = Σ mass·e^(point − loss) over it, δ(ε) = S − e^(ε−point)·V + infinite
 * between a point and the next.
 */
function epsilonOf({ interval, first, masses, infinite }: LossMasses, delta: number): number {
  if (infinite > delta) return Number.POSITIVE_INFINITY;
  const decay = Math.exp(-interval);
  let above = infinite;
  let weighted = 0;
  for (let i = masses.length - 1; i >= 0; i--) {
    above += masses[i]!;
    weighted = decay * (weighted + masses[i]!);
    const point = (first + i - 1) * interval;
    if (above - weighted > delta) return Math.max(0, point + Math.log((above - delta) / weighted));
    if (point <= 0) return 0;
  }
  return 0;
}
