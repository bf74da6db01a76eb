import type { RunConfig, SitePrivacy } from "../config/run-config.js";
import { ConsiliumError } from "../errors.js";
import { fewestSites, thresholdOf } from "../secagg/protocol.js";
import { epsilonFromRdp } from "./rdp.js";
import {
  type NoiseCohort,
  noiseShareVariance,
  ringBoundWithNoise,
  type SkellamMechanism,
  skellamRdpCurve,
} from "./skellam.js";
import { mostVariance } from "./skellam-noise.js";

/**
 * The noise of a run that hides whole sites. It follows from the run's configuration and the number of parameters alone,
 * so that coordinator and sites find the same, and a plan cannot ask for less.
 */

type SiteRun = Pick<RunConfig, "rounds" | "cohort">;

/** What a site does to its update before it masks it, and what a sum of such updates holds. */
export interface SiteNoise {
  /** C: largest L2 norm of an update. A 32-bit float, as plans carry it. */
  readonly clip: number;
  /** s: whole number that an update of norm C has as its norm before rounding. */
  readonly scale: number;
  /** Variance of each site's noise, in whole numbers squared. */
  readonly shareVariance: number;
}

/** Finer steps than this change ε by less than a part in 10⁵ (security reference, table C). */
const largestScale = 2 ** 20;

/** Of the smallest cohort that can be summed: sites and coordinator refuse any other. */
export function noiseCohort({ cohort: { minSites, maxSites, colluders } }: SiteRun): NoiseCohort {
  const fewest = Math.max(minSites, thresholdOf(Math.max(fewestSites, minSites), colluders));
  return { sites: maxSites, fewest, colluders };
}

/**
 * The largest power of two with which the sum of all updates and 8σ of their noise fit the ring.
 * @throws ConsiliumError "config-invalid" where none is
 */
function scaleFor(noiseMultiplier: number, cohort: NoiseCohort): number {
  for (let scale = largestScale; scale >= 1; scale /= 2) {
    const variance = noiseShareVariance({ noiseMultiplier, scale }, cohort);
    // Rounding may take a coordinate one further than the scale.
    if (variance <= mostVariance && fits(variance, cohort, scale + 1)) return scale;
  }
  const message = `noise of ${noiseMultiplier} times the clip for up to ${cohort.sites} sites does not fit the masked sum`;
  throw new ConsiliumError("config-invalid", message, { remedy: "ask for less noise, or lower cohort.maxSites" });
}

function fits(variance: number, cohort: NoiseCohort, largest: number): boolean {
  try {
    return ringBoundWithNoise(variance, cohort) >= largest;
  } catch {
    return false;
  }
}

function mechanismWith(run: SiteRun, noiseMultiplier: number, dimension: number): SkellamMechanism {
  return { noiseMultiplier, scale: scaleFor(noiseMultiplier, noiseCohort(run)), dimension, steps: run.rounds };
}

/** ε of a mechanism at δ, as ledgers account. */
export function skellamEpsilon(mechanism: SkellamMechanism, delta: number): number {
  return epsilonFromRdp(skellamRdpCurve(mechanism), delta).epsilon;
}

const leastNoise = 1e-4;
const mostNoise = 1e6;

/**
 * All rounds of a run, with the noise that it names or that its ε needs (found to a part in 10⁶, never less).
 * @param dimension parameters of the checkpoint
 * @throws ConsiliumError "config-invalid" where no noise that fits the ring reaches the ε
 */
export function siteMechanism(run: SiteRun, privacy: SitePrivacy, dimension: number): SkellamMechanism {
  const { noiseMultiplier, epsilon, delta } = privacy;
  if (noiseMultiplier !== undefined) return mechanismWith(run, noiseMultiplier, dimension);
  if (epsilon === undefined) throw new ConsiliumError("config-invalid", "privacy needs epsilon or noiseMultiplier");
  const costs = (noise: number) => skellamEpsilon(mechanismWith(run, noise, dimension), delta);
  let [low, high] = [leastNoise, leastNoise];
  while (costs(high) > epsilon) {
    low = high;
    high *= 4;
    if (high > mostNoise) throw new ConsiliumError("config-invalid", `no noise reaches epsilon ${epsilon}`);
  }
  while (high / low > 1 + 1e-6) {
    const middle = Math.sqrt(low * high);
    if (costs(middle) > epsilon) low = middle;
    else high = middle;
  }
  return mechanismWith(run, high, dimension);
}

/** The most that a run may ever spend at its δ, lost attempts included. */
export function siteBudget(run: SiteRun, privacy: SitePrivacy, dimension: number): number {
  const { maxEpsilon, epsilon, delta } = privacy;
  return maxEpsilon ?? epsilon ?? skellamEpsilon(siteMechanism(run, privacy, dimension), delta);
}

/**
 * @param dimension parameters of the checkpoint
 * @returns undefined for a run that does not hide sites
 * @throws ConsiliumError "config-invalid", see `siteMechanism`
 */
export function siteNoise(run: SiteRun & Pick<RunConfig, "privacy">, dimension: number): SiteNoise | undefined {
  const { privacy } = run;
  if (privacy.mode !== "site") return undefined;
  const mechanism = siteMechanism(run, privacy, dimension);
  const shareVariance = noiseShareVariance(mechanism, noiseCohort(run));
  return { clip: Math.fround(privacy.clip), scale: mechanism.scale, shareVariance };
}
