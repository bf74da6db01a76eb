import { ConsiliumError } from "../errors.js";
import { requireDelta, requireEpsilon, type SampledGaussian } from "./mechanism.js";
import { epsilonFromLoss, privacyLoss } from "./pld.js";
import { epsilonFromRdp, rdpCurve } from "./rdp.js";

/** "pld" is tighter, "rdp" a hundred times faster; both are upper bounds. */
export type Accountant = "rdp" | "pld";

/** ε of a mechanism at δ. @throws ConsiliumError "config-invalid" */
export function epsilonBy(accountant: Accountant, mechanism: SampledGaussian, delta: number): number {
  requireDelta(delta);
  if (accountant === "pld") return epsilonFromLoss(privacyLoss([mechanism]), delta);
  return epsilonFromRdp(rdpCurve(mechanism), delta).epsilon;
}

export interface PrivacyTarget extends Omit<SampledGaussian, "noiseMultiplier"> {
  readonly epsilon: number;
  readonly delta: number;
}

/** Noise found is at most this part above the least. */
const tolerance = 1e-5;
const leastNoise = 1e-2;
const mostNoise = 1e6;

/**
 * The least noise multiplier that meets the target, to a part in 10⁵ and never below it. ε falls with the noise, so the
 * answer lies between a value that was seen to fail and the one returned, which was seen to pass.
 * @throws ConsiliumError "config-invalid" for an impossible target, or one that no noise under a million meets
 */
export function noiseMultiplierFor(target: PrivacyTarget, accountant: Accountant): number {
  requireEpsilon(target.epsilon);
  requireDelta(target.delta);
  const byRdp = leastPassing(target, "rdp", 1);
  const found = accountant === "rdp" ? byRdp : leastPassing(target, "pld", byRdp ?? 1);
  if (found !== undefined) return found;
  throw new ConsiliumError("config-invalid", "no noise under a million times the clip meets this privacy target", {
    remedy: "ask for fewer steps, or a larger epsilon or delta",
  });
}

/** A noise multiplier and how far ε is above the target there, in logarithms. */
interface Probe {
  readonly noise: number;
  readonly excess: number;
}

function leastPassing(target: PrivacyTarget, accountant: Accountant, guess: number): number | undefined {
  const { samplingRate, steps } = target;
  const probe = (noise: number): Probe => {
    const epsilon = epsilonBy(accountant, { noiseMultiplier: noise, samplingRate, steps }, target.delta);
    // The search interpolates, so it needs finite values also where ε is zero or infinite.
    return { noise, excess: Math.max(-9, Math.min(9, Math.log(epsilon / target.epsilon))) };
  };
  const { low, high } = bracket(probe, guess);
  if (high === undefined) return undefined;
  return low === undefined ? high.noise : narrow(probe, low, high);
}

/** Steps away from the guess, ever wider, until one end fails and the other passes; an end is missing where all noise passes, or none. */
function bracket(probe: (noise: number) => Probe, guess: number): { low?: Probe; high?: Probe } {
  let factor = 1.1;
  let low: Probe | undefined;
  let high = probe(guess);
  while (high.excess > 0) {
    low = high;
    if (low.noise >= mostNoise) return { low };
    high = probe(Math.min(mostNoise, low.noise * factor));
    factor *= factor;
  }
  while (low === undefined && high.noise > leastNoise) {
    const lower = probe(Math.max(leastNoise, high.noise / factor));
    if (lower.excess > 0) low = lower;
    else high = lower;
    factor *= factor;
  }
  return low === undefined ? { high } : { low, high };
}

/** Regula falsi on logarithms with halved weights of an end that stays (Dowell and Jarratt 1971). */
function narrow(probe: (noise: number) => Probe, from: Probe, to: Probe): number {
  let [low, high] = [from, to];
  let stayed: "low" | "high" | undefined;
  while (high.noise / low.noise > 1 + tolerance) {
    const part = low.excess / (low.excess - high.excess);
    // An end is never probed again, and never approached by less than half of what is asked for.
    const width = Math.log(high.noise / low.noise);
    const least = Math.min(0.5, tolerance / 2 / width);
    const middle = probe(low.noise * Math.exp(width * Math.max(least, Math.min(1 - least, part))));
    if (middle.excess > 0) {
      low = middle;
      if (stayed === "high") high = { ...high, excess: high.excess / 2 };
      stayed = "high";
    } else {
      high = middle;
      if (stayed === "low") low = { ...low, excess: low.excess / 2 };
      stayed = "low";
    }
  }
  return high.noise;
}
