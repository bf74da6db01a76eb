import { ConsiliumError } from "../errors.js";

/** What noise will do to learning, predicted before a run from its settings alone. */
export interface NoisyMean {
  /** σ: the noise's standard deviation over the clip, in the sum over contributors. */
  readonly noiseMultiplier: number;
  /** Contributors to a mean: patients expected in a step's sample, or sites in a round. */
  readonly contributors: number;
  /** How many numbers a contribution has: the model's trained parameters. */
  readonly dimension: number;
  /** How often a noisy mean is released. */
  readonly steps: number;
  /** Sites whose noisy means are averaged, each with noise of its own; one where the sites are the contributors. */
  readonly averagedSites?: number;
}

/**
 * "hopeless": even if every step pointed the same way at full length, the noise of the whole run would exceed the signal.
 * "doubtful": a single step is mostly noise, and only the average of many steps can carry anything.
 * "workable": a single step holds more signal than noise.
 */
export interface Verdict {
  readonly kind: "workable" | "doubtful" | "hopeless";
  /** Norm of one mean's noise over the clip, which is the longest that its signal can be: σ√D/contributors. */
  readonly noisePerStep: number;
  /** The same for the sum of all steps, if they all point one way: less by √steps. */
  readonly noisePerRun: number;
  /** One sentence with the figures. */
  readonly reason: string;
}

/** @throws ConsiliumError "config-invalid" for a figure that is not positive */
export function verdictOn(mean: NoisyMean): Verdict {
  const { noiseMultiplier, contributors, dimension, steps, averagedSites = 1 } = mean;
  const figures = { noiseMultiplier, contributors, dimension, steps, averagedSites };
  for (const [name, value] of Object.entries(figures)) {
    if (!(value > 0)) throw new ConsiliumError("config-invalid", `${name} is ${value}; it must be positive`);
  }
  const noisePerStep = (noiseMultiplier * Math.sqrt(dimension / averagedSites)) / contributors;
  const noisePerRun = noisePerStep / Math.sqrt(steps);
  const kind = noisePerRun > 1 ? "hopeless" : noisePerStep > 1 ? "doubtful" : "workable";
  const facts = `noise is ${times(noisePerStep)} the clip in one step, ${times(noisePerRun)} over ${steps} steps`;
  return { kind, noisePerStep, noisePerRun, reason: `${facts}: ${meanings[kind]}` };
}

const meanings: Readonly<Record<Verdict["kind"], string>> = {
  workable: "each step holds more signal than noise",
  doubtful: "only the average of many steps can carry a signal",
  hopeless: "it exceeds all that the run can learn",
};

function times(ratio: number): string {
  return `${ratio >= 100 ? Math.round(ratio) : Number(ratio.toPrecision(2))}×`;
}

/** @throws ConsiliumError "policy-refused" when the settings are hopeless */
export function refuseHopeless(mean: NoisyMean): Verdict {
  return requireHope(verdictOn(mean));
}

/** @throws ConsiliumError "policy-refused" for a verdict of hopeless */
export function requireHope(verdict: Verdict): Verdict {
  if (verdict.kind !== "hopeless") return verdict;
  throw new ConsiliumError("policy-refused", `private training would fail: ${verdict.reason}`, {
    remedy: "train fewer parameters, take more patients in a step or more sites, or allow a larger epsilon",
  });
}
