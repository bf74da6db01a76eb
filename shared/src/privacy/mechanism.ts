import { ConsiliumError } from "../errors.js";

/**
 * The Gaussian mechanism on a Poisson sample, run several times on the same units (patients, or sites). It adds noise of
 * standard deviation σ·C to a sum whose terms have norm at most C. Neighbours differ by adding or removing one unit.
 */
export interface SampledGaussian {
  /** σ: the noise's standard deviation over the clip C. */
  readonly noiseMultiplier: number;
  /** q: the probability that a unit is in a step's sample. */
  readonly samplingRate: number;
  /** How often the mechanism runs. */
  readonly steps: number;
}

/** @throws ConsiliumError "config-invalid" unless σ > 0, q lies in (0, 1] and steps is a whole number, at least zero */
export function requireMechanism({ noiseMultiplier, samplingRate, steps }: SampledGaussian): void {
  if (!(noiseMultiplier > 0) || !Number.isFinite(noiseMultiplier)) {
    throw new ConsiliumError("config-invalid", `the noise multiplier is ${noiseMultiplier}; it must be positive`, {
      remedy: "without noise nothing is private; find the noise for a budget with 'consilium privacy'",
    });
  }
  if (!(samplingRate > 0 && samplingRate <= 1)) {
    throw new ConsiliumError("config-invalid", `the sampling rate is ${samplingRate}; it must lie in (0, 1]`);
  }
  if (!Number.isSafeInteger(steps) || steps < 0) {
    throw new ConsiliumError("config-invalid", `the number of steps is ${steps}; it must be a whole number`);
  }
}

/** @throws ConsiliumError "config-invalid" */
export function requireDelta(delta: number): void {
  if (delta > 0 && delta < 1) return;
  throw new ConsiliumError("config-invalid", `delta is ${delta}; it must lie between 0 and 1`, {
    remedy: "take a delta well below one over the number of patients, such as 1e-6",
  });
}

/** @throws ConsiliumError "config-invalid" */
export function requireEpsilon(epsilon: number): void {
  if (epsilon > 0 && Number.isFinite(epsilon)) return;
  throw new ConsiliumError("config-invalid", `epsilon is ${epsilon}; it must be a positive number`);
}
