import { requireDelta, requireEpsilon } from "./mechanism.js";
import { erfc, erfcx } from "./special.js";

/**
 * The Gaussian mechanism without sampling, exactly (Balle and Wang 2018, theorem 8). T releases with noise multiplier σ
 * are one release whose means lie μ = √T/σ standard deviations apart.
 */

/** μ = √steps/σ. */
export function separation(noiseMultiplier: number, steps = 1): number {
  return Math.sqrt(steps) / noiseMultiplier;
}

/**
 * δ(ε) = Φ(μ/2 − ε/μ) − e^ε·Φ(−μ/2 − ε/μ), for ε ≥ 0. With a = ε/μ − μ/2 and b = ε/μ + μ/2 the second term is
 * e^(−a²/2)·erfcx(b/√2)/2, which cannot overflow and keeps the digits of a small δ.
 */
export function gaussianDelta(epsilon: number, mu: number): number {
  if (mu === 0) return 0;
  const a = epsilon / mu - mu / 2;
  const b = epsilon / mu + mu / 2;
  const right = erfcx(b * Math.SQRT1_2);
  const scale = Math.exp((-a * a) / 2) / 2;
  const delta = a > 0 ? scale * (erfcx(a * Math.SQRT1_2) - right) : erfc(a * Math.SQRT1_2) / 2 - scale * right;
  return Math.min(1, Math.max(0, delta));
}

/** The least ε ≥ 0 with δ(ε) ≤ delta, rounded up. @throws ConsiliumError "config-invalid" for a delta outside (0, 1) */
export function gaussianEpsilon(delta: number, mu: number): number {
  requireDelta(delta);
  const enough = (epsilon: number) => gaussianDelta(epsilon, mu) <= delta;
  return leastWhere(enough);
}

/**
 * The least noise multiplier for which `steps` releases are (ε, δ)-private together.
 * @throws ConsiliumError "config-invalid" for an ε that is not positive or a δ outside (0, 1)
 */
export function gaussianNoiseMultiplier(target: { epsilon: number; delta: number; steps?: number }): number {
  const { epsilon, delta, steps = 1 } = target;
  requireDelta(delta);
  requireEpsilon(epsilon);
  return leastWhere((sigma) => sigma > 0 && gaussianDelta(epsilon, separation(sigma, steps)) <= delta);
}

/** The upper end of a bracket one rounding error wide around the least x ≥ 0 where a monotone condition begins to hold. */
function leastWhere(holds: (x: number) => boolean): number {
  if (holds(0)) return 0;
  let high = 1;
  while (!holds(high)) {
    high *= 2;
    if (high === Number.POSITIVE_INFINITY) return high;
  }
  let low = 0;
  while (true) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    if (holds(middle)) high = middle;
    else low = middle;
  }
}
