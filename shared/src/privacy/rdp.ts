import { requireMechanism, type SampledGaussian } from "./mechanism.js";
import { erfcx, logAdd, logErfc, logExpm1 } from "./special.js";

/**
 * Rényi differential privacy of the Gaussian mechanism on a Poisson sample, for neighbours that differ by adding or
 * removing one unit (Mironov, Talwar and Zhang 2019); their bound holds for both directions.
 */

/** Names the grid below in stored ledgers: the same history must give the same ε after an update of the program. */
export const orderGridVersion = 1;

/**
 * Orders that ε is minimised over: 1.1 to 10.9 in tenths, the integers 11 to 63, and four powers of two for very small ε.
 * Any subset of orders gives a valid ε; a finer grid would lower it by less than one percent.
 */
export const orderGrid: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => (11 + i) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  128,
  256,
  512,
  1024,
];

/**
 * RDP of one step at one order: ε(α) in nats. Infinity where the order, or no noise, makes it so.
 * Integer orders follow the finite sum (equation 5 there), others the two series of section 3.3.
 */
export function stepRdp(order: number, { noiseMultiplier, samplingRate }: Omit<SampledGaussian, "steps">): number {
  if (samplingRate === 0) return 0;
  if (noiseMultiplier === 0 || order === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (samplingRate === 1) return order / (2 * noiseMultiplier ** 2);
  const logMoment = Number.isInteger(order)
    ? integerLogMoment(order, noiseMultiplier, samplingRate)
    : fractionalLogMoment(order, noiseMultiplier, samplingRate);
  return Math.max(0, logMoment) / (order - 1);
}

/**
 * log A, with A − 1 = Σ_{i≥2} C(α,i)(1−q)^(α−i) qⁱ (e^((i²−i)/2σ²) − 1): the binomial weights sum to one, so leaving out
 * their share keeps all digits of a small A − 1.
 */
function integerLogMoment(order: number, sigma: number, rate: number): number {
  let logBinomial = Math.log(order);
  let excess = Number.NEGATIVE_INFINITY;
  for (let i = 2; i <= order; i++) {
    logBinomial += Math.log((order - i + 1) / i);
    const weight = logBinomial + (order - i) * Math.log1p(-rate) + i * Math.log(rate);
    excess = logAdd(excess, weight + logExpm1((i * i - i) / (2 * sigma * sigma)));
  }
  return logAdd(0, excess);
}

/** Terms of the alternating tail that are weighted; the error is below 6^−terms of the first. */
const tailTerms = 24;

/**
 * log A for any order. Both series of section 3.3 share the factor (1−q)^α·e^(−z0²/2σ²)/2 once erfc is written as
 * erfcx(u)·e^(−u²): A = factor · Σ_i C(α,i)·[erfcx((i−z0)/√2σ) + erfcx((z0−α+i)/√2σ)]. The binomials are positive up to
 * i = ⌈α⌉ and alternate after it, and their magnitudes times erfcx are completely monotone, which is what makes the
 * summation of the tail by `alternatingSum` exact to rounding.
 */
function fractionalLogMoment(order: number, sigma: number, rate: number): number {
  const heads = Math.ceil(order) + 1;
  let logBinomial = 0;
  let head = Number.NEGATIVE_INFINITY;
  const tail: number[] = [];
  for (let i = 0; i < heads + tailTerms; i++) {
    const term = logBinomial + logSeriesTerms(i, order, sigma, rate);
    if (i < heads) head = logAdd(head, term);
    else tail.push(term);
    logBinomial += Math.log(Math.abs(order - i) / (i + 1));
  }
  const scale = Math.max(head, tail[0]!);
  return scale + Math.log(Math.exp(head - scale) - alternatingSum(tail.map((term) => Math.exp(term - scale))));
}

/** The logarithm of term i of both series without the binomial. */
function logSeriesTerms(i: number, order: number, sigma: number, rate: number): number {
  const z0 = sigma * sigma * Math.log(1 / rate - 1) + 0.5;
  const part = (argument: number, power: number) => {
    const u = argument / (Math.SQRT2 * sigma);
    const shared = order * Math.log1p(-rate) - Math.LN2;
    if (u >= 0) return shared - (z0 * z0) / (2 * sigma * sigma) + Math.log(erfcx(u));
    // The form with erfc keeps the digits that e^(u²) and e^(−z0²/2σ²) would cancel.
    const odds = power * (Math.log(rate) - Math.log1p(-rate));
    return shared + odds + (power * power - power) / (2 * sigma * sigma) + logErfc(u);
  };
  return logAdd(part(i - z0, i), part(z0 - order + i, order - i));
}

/** Σ (−1)ᵏ·terms[k] continued to infinity, for completely monotone terms (Cohen, Rodriguez Villegas and Zagier 2000, algorithm 1). */
function alternatingSum(terms: readonly number[]): number {
  const n = terms.length;
  const power = (3 + Math.sqrt(8)) ** n;
  const total = (power + 1 / power) / 2;
  let b = -1;
  let c = -total;
  let sum = 0;
  for (let k = 0; k < n; k++) {
    c = b - c;
    sum += c * terms[k]!;
    b *= ((k + n) * (k - n)) / ((k + 0.5) * (k + 1));
  }
  return sum / total;
}

/** ε(α) of all steps at each order: RDP adds up. @throws ConsiliumError "config-invalid" for an impossible mechanism */
export function rdpCurve(mechanism: SampledGaussian, orders: readonly number[] = orderGrid): number[] {
  requireMechanism(mechanism);
  return orders.map((order) => mechanism.steps * stepRdp(order, mechanism));
}

/** The curve of several mechanisms run on the same units, all on the same orders. */
export function composeRdp(curves: readonly (readonly number[])[], orders: readonly number[] = orderGrid): number[] {
  return orders.map((_, i) => curves.reduce((sum, curve) => sum + curve[i]!, 0));
}

/** What an RDP curve guarantees, and the order that gave it. */
export interface RdpEpsilon {
  readonly epsilon: number;
  readonly order: number;
}

/**
 * The least ε such that the curve implies (ε, δ): ε = r(α) + log((α−1)/α) − (log δ + log α)/(α−1), minimised over the
 * orders (Canonne, Kamath and Steinke 2020, proposition 12; Balle et al. 2020). Never negative.
 */
export function epsilonFromRdp(
  curve: readonly number[],
  delta: number,
  orders: readonly number[] = orderGrid,
): RdpEpsilon {
  let best: RdpEpsilon = { epsilon: Number.POSITIVE_INFINITY, order: orders[0]! };
  for (const [i, order] of orders.entries()) {
    const epsilon = epsilonAt(curve[i]!, order, delta);
    if (epsilon < best.epsilon) best = { epsilon, order };
  }
  return best;
}

function epsilonAt(rdp: number, order: number, delta: number): number {
  // The total variation distance is at most √(1 − e^−KL), and KL is below every RDP (Bretagnolle and Huber 1979).
  if (-Math.expm1(-rdp) <= delta * delta) return 0;
  if (order === 1) return Number.POSITIVE_INFINITY;
  if (order === Number.POSITIVE_INFINITY) return rdp;
  return Math.max(0, rdp + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1));
}

/** The least δ such that the curve implies (ε, δ), at most one; the same bound read the other way. */
export function deltaFromRdp(curve: readonly number[], epsilon: number, orders: readonly number[] = orderGrid): number {
  const logs = orders.map((order, i) => {
    if (order === Number.POSITIVE_INFINITY) return curve[i]! <= epsilon ? Number.NEGATIVE_INFINITY : 0;
    return (order - 1) * (curve[i]! - epsilon + Math.log1p(-1 / order)) - Math.log(order);
  });
  return Math.exp(Math.min(0, ...logs));
}
