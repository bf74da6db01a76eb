import { type PatientPrivacy, type RunConfig, type SitePrivacy, totalSteps } from "../config/run-config.js";
import { ConsiliumError } from "../errors.js";
import { checkpointLayout } from "../params/checkpoint-layout.js";
import { parameterLayout } from "../params/parameters.js";
import { epsilonBy, noiseMultiplierFor } from "./calibrate.js";
import type { SampledGaussian } from "./mechanism.js";
import { noiseCohort, siteBudget, siteMechanism, skellamEpsilon } from "./site-mechanism.js";
import { requireHope, type Verdict, verdictOn } from "./verdict.js";

/**
 * What a run's privacy will cost and leave to learn, from its configuration alone: it is printed before a run starts, and
 * every site finds the same noise.
 */

export interface PrivacyPrediction {
  /** Whom the noise hides. */
  readonly unit: "patient" | "site";
  /** σ */
  readonly noiseMultiplier: number;
  /** Of the whole run as the ledgers account; of patients, at a site with the fewest. */
  readonly epsilon: number;
  /** The most that the run may spend, lost attempts included; of patients, each site's policy says it. */
  readonly maxEpsilon?: number;
  readonly delta: number;
  readonly verdict: Verdict;
}

/** @returns undefined for a run without privacy. @throws ConsiliumError "config-invalid" for noise that cannot be */
export function predictPrivacy(config: RunConfig): PrivacyPrediction | undefined {
  const { privacy } = config;
  switch (privacy.mode) {
    case "none":
      return undefined;
    case "patient":
      return predictPatients(config, privacy);
    case "site":
      return predictSites(config, privacy);
  }
}

/**
 * Whoever admits a run asks this, so that a changed command line cannot launch one that only spends budgets.
 * @returns what the privacy of the run costs, undefined for a run without
 * @throws ConsiliumError "policy-refused" for a run that noise leaves nothing to learn in, or whose rounds cost more than
 * it may spend; "config-invalid" for noise that cannot be
 */
export function requireHopefulPrivacy(config: RunConfig): PrivacyPrediction | undefined {
  const predicted = predictPrivacy(config);
  if (predicted === undefined) return undefined;
  requireHope(predicted.verdict);
  const { epsilon, maxEpsilon = epsilon } = predicted;
  if (epsilon <= maxEpsilon) return predicted;
  const message = `all rounds would cost ε ${epsilon.toFixed(3)}, and privacy.maxEpsilon is ${maxEpsilon}`;
  throw new ConsiliumError("policy-refused", message, { remedy: "run fewer rounds, or add more noise" });
}

/** n is the fewest sites that may be summed: more have a clearer mean. */
function predictSites(config: RunConfig, privacy: SitePrivacy): PrivacyPrediction {
  const { dimension } = checkpointLayout(config);
  const mechanism = siteMechanism(config, privacy, dimension);
  const { noiseMultiplier, steps } = mechanism;
  const cohort = noiseCohort(config);
  // Colluding sites add noise as well, which does not count towards ε but disturbs.
  const inSum = noiseMultiplier * Math.sqrt(cohort.fewest / (cohort.fewest - cohort.colluders));
  const verdict = verdictOn({ noiseMultiplier: inSum, steps, contributors: cohort.fewest, dimension });
  const { delta } = privacy;
  const maxEpsilon = siteBudget(config, privacy, dimension);
  return { unit: "site", noiseMultiplier, epsilon: skellamEpsilon(mechanism, delta), maxEpsilon, delta, verdict };
}

function predictPatients(config: RunConfig, privacy: PatientPrivacy): PrivacyPrediction {
  const { delta } = privacy;
  const mechanism = patientMechanism(config, privacy);
  const { noiseMultiplier, steps } = mechanism;
  const verdict = verdictOn({
    ...{ noiseMultiplier, steps, contributors: config.training.batchSize },
    ...{ dimension: parameterLayout(config).dimension, averagedSites: config.cohort.minSites },
  });
  return { unit: "patient", noiseMultiplier, epsilon: epsilonBy("rdp", mechanism, delta), delta, verdict };
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
export function predictionLines(predicted: PrivacyPrediction): string[] {
  const { unit, noiseMultiplier, epsilon, delta, verdict } = predicted;
  return [
    `privacy of each ${unit}: ε at most ${epsilon.toFixed(3)} at δ ${delta} over the whole run, noise ${noiseMultiplier.toPrecision(4)} × clip`,
    `noise to signal${unit === "site" ? " (σ√D/n; a step is a round)" : ""}: ${verdict.reason}`,
  ];
}
