import { ConsiliumError } from "../errors.js";
import { orderGrid } from "./rdp.js";

/**
 * Site-level privacy inside the ring of secure aggregation: each site adds Skellam noise, the difference of two Poisson
 * variables, to its rounded update (Agarwal, Kairouz and Liu 2021). A sum of Skellam variables is one again, so whatever
 * set of sites survives, the noise of the sum is known exactly.
 */

/** A vector of norm C is multiplied by scale/C, then rounded at random to whole numbers; all figures here have C = 1. */
export interface RoundedVector {
  readonly dimension: number;
  /** s: what a vector at the clip has as its norm in whole numbers. */
  readonly scale: number;
}

export interface Sensitivity {
  /** Δ1 and Δ2: largest norms of one site's rounded vector over the scale. */
  readonly l1: number;
  readonly l2: number;
}

/** β: rounding is drawn again until the norm's bound holds, which fails with at most this probability. */
const roundingFailure = Math.exp(-0.5);

/** Rounding lengthens a vector: Δ2 ≤ min(s + √d, √(s² + d/4 + √(2·ln(1/β))·(s + √d/2)))/s and Δ1 ≤ Δ2·min(√d, s·Δ2). */
export function roundedSensitivity({ dimension, scale }: RoundedVector): Sensitivity {
  if (!(scale > 0) || !(dimension >= 1)) {
    throw new ConsiliumError("config-invalid", `a vector of ${dimension} numbers at scale ${scale} cannot be rounded`);
  }
  const root = Math.sqrt(dimension);
  const spread = Math.sqrt(2 * Math.log(1 / roundingFailure));
  const likely = Math.sqrt(scale ** 2 + dimension / 4 + spread * (scale + root / 2));
  const norm = Math.min(scale + root, likely);
  return { l2: norm / scale, l1: (norm * Math.min(root, norm)) / scale };
}

/** Skellam noise on the sum, run several times with all sites. */
export interface SkellamMechanism extends RoundedVector {
  /** σ: the noise's standard deviation over the clip, in the sum over sites. */
  readonly noiseMultiplier: number;
  readonly steps: number;
}

/**
 * RDP of one release at an order: αΔ2²/2μ + min(((2α−1)sΔ2² + 6Δ1)/4s³μ², 3Δ1/2sμ) with μ = σ². The bound is proved for
 * whole orders, and RDP never falls with the order, so a broken order takes the next whole one.
 */
export function skellamStepRdp(order: number, mechanism: Omit<SkellamMechanism, "steps">): number {
  const { scale, noiseMultiplier } = mechanism;
  const { l1, l2 } = roundedSensitivity(mechanism);
  const alpha = Math.max(2, Math.ceil(order));
  const variance = noiseMultiplier ** 2;
  const quadratic = ((2 * alpha - 1) * scale * l2 ** 2 + 6 * l1) / (4 * scale ** 3 * variance ** 2);
  const linear = (3 * l1) / (2 * scale * variance);
  return (alpha * l2 ** 2) / (2 * variance) + Math.min(quadratic, linear);
}

/** ε(α) of all releases at each order. @throws ConsiliumError "config-invalid" for an impossible mechanism */
export function skellamRdpCurve(mechanism: SkellamMechanism, orders: readonly number[] = orderGrid): number[] {
  const { noiseMultiplier, steps } = mechanism;
  if (!(noiseMultiplier > 0) || !Number.isSafeInteger(steps) || steps < 0) {
    throw new ConsiliumError("config-invalid", `Skellam noise ${noiseMultiplier} for ${steps} rounds is impossible`);
  }
  return orders.map((order) => steps * skellamStepRdp(order, mechanism));
}

/** A round's cohort as secure aggregation bounds it. */
export interface NoiseCohort {
  /** Sites that begin the round. */
  readonly sites: number;
  /** t: the fewest sites whose sum is ever opened. */
  readonly fewest: number;
  /** c: sites that may tell the coordinator their own noise. */
  readonly colluders: number;
}

/**
 * Variance that each site adds, in whole numbers squared: (σ·s)²/(t − c), so that the honest part of the smallest legal
 * sum already carries the target. When more survive, the surplus stays in the sum.
 * @throws ConsiliumError "config-invalid" when no honest site would be left
 */
export function noiseShareVariance(
  { noiseMultiplier, scale }: Pick<SkellamMechanism, "noiseMultiplier" | "scale">,
  { sites, fewest, colluders }: NoiseCohort,
): number {
  if (!(fewest > colluders && colluders >= 0 && fewest <= sites)) {
    throw new ConsiliumError(
      "config-invalid",
      `of ${sites} sites, sums of ${fewest} with ${colluders} colluding leave no honest site that adds noise`,
      { remedy: "ask for more sites in the smallest sum" },
    );
  }
  return (noiseMultiplier * scale) ** 2 / (fewest - colluders);
}

/** σ of a sum in which `survivors` sites are left, not counting what colluders know: at least the target's. */
export function survivingNoiseMultiplier(target: number, cohort: NoiseCohort, survivors: number): number {
  if (survivors < cohort.fewest || survivors > cohort.sites) {
    throw new ConsiliumError("config-invalid", `a sum of ${survivors} sites is not one of this cohort's`);
  }
  return target * Math.sqrt((survivors - cohort.colluders) / (cohort.fewest - cohort.colluders));
}

const ringLimit = 2 ** 31 - 1;
/** Standard deviations of noise that the ring must hold beside the largest sum. */
const headroom = 8;

/**
 * B: the largest magnitude that one site's coordinate may have so that the sum of all, with 8σ of noise, never wraps
 * modulo 2³². @throws ConsiliumError "config-invalid" when the noise alone fills the ring
 */
export function ringBoundWithNoise(shareVariance: number, { sites }: Pick<NoiseCohort, "sites">): number {
  const bound = Math.floor((ringLimit - headroom * Math.sqrt(sites * shareVariance)) / sites);
  if (bound >= 1) return bound;
  throw new ConsiliumError("config-invalid", `noise of ${sites} sites with variance ${shareVariance} fills the ring`, {
    remedy: "lower the scale",
  });
}
