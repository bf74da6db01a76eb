import { type PatientPrivacy, type RunConfig, totalSteps } from "../config/run-config.js";
import { ConsiliumError } from "../errors.js";
import { parameterLayout } from "../params/parameters.js";
import { epsilonBy, noiseMultiplierFor } from "./calibrate.js";
import type { SampledGaussian } from "./mechanism.js";
import { type Verdict, verdictOn } from "./verdict.js";

/**
 * What a run's privacy will cost and leave to learn, from its configuration alone: it is printed before a run starts, and
 * every site finds the same noise.
 */

export interface PrivacyPrediction {
  /** σ */
  readonly noiseMultiplier: number;
  /** Of the whole run at a site with the fewest patients, as the ledgers account. */
  readonly epsilon: number;
  readonly delta: number;
  readonly verdict: Verdict;
}

/** @returns undefined for a run without privacy */
export function predictPrivacy(config: RunConfig): PrivacyPrediction | undefined {
  const { privacy } = config;
  if (privacy.mode === "none") return undefined;
  const { delta } = privacy;
  const mechanism = patientMechanism(config, privacy);
  const { noiseMultiplier, steps } = mechanism;
  const verdict = verdictOn({
    ...{ noiseMultiplier, steps, contributors: config.training.batchSize },
    ...{ dimension: parameterLayout(config).dimension, averagedSites: config.cohort.minSites },
  });
  return { noiseMultiplier, epsilon: epsilonBy("rdp", mechanism, delta), delta, verdict };
}

/** The run's noise, and what all its steps are at a site with the fewest patients. */
export function patientMechanism(
  config: Pick<RunConfig, "rounds" | "training">,
  { epsilon, noiseMultiplier, delta, leastPatients }: PatientPrivacy,
): SampledGaussian {
  const steps = totalSteps(config);
  const samplingRate = config.training.batchSize / leastPatients;
  if (noiseMultiplier !== undefined) return { noiseMultiplier, samplingRate, steps };
  if (epsilon === undefined) throw new ConsiliumError("config-invalid", "privacy needs epsilon or noiseMultiplier");
  return { noiseMultiplier: noiseMultiplierFor({ epsilon, delta, samplingRate, steps }, "rdp"), samplingRate, steps };
}

/** For people, before a run starts. */
export function predictionLines({ noiseMultiplier, epsilon, delta, verdict }: PrivacyPrediction): string[] {
  return [
    `privacy of each patient: ε at most ${epsilon.toFixed(3)} at δ ${delta} over the whole run, noise ${noiseMultiplier.toPrecision(4)} × clip`,
    `noise to signal: ${verdict.reason}`,
  ];
}
