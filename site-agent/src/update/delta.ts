import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { siteWeight } from "@consilium/shared/config/site-weight.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { type SiteNoise, siteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { type Figures, knownFigures } from "@consilium/shared/secagg/figures.js";

/** What a site brings to a round's sum. Only the masking code reads it; nothing of it leaves the site unmasked. */
export interface Contribution {
  /** Trained minus global, in layout order, length = the plan's dimension. Not to be changed until the attempt ends. */
  readonly delta: Float32Array;
  /** Scalars of each tensor in layout order; the plan has a clip for each. */
  readonly tensorSizes: readonly number[];
  /** The site's weight before the plan's cap: images that it trained from, or one where sites count alike. */
  readonly sampleCount: number;
  /** Mean loss over the round's local steps. */
  readonly meanLoss: number;
  /** Local steps taken. */
  readonly steps: number;
  /** What the run watches beside the loss, as far as the site has it. */
  readonly figures: Figures;
  /** Of a run that hides sites: what is added to the delta before it is masked. */
  readonly noise?: SiteNoise | undefined;
}

/** L2 norm in float64; not finite as soon as one value is not. */
function normOf(vector: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  return Math.sqrt(squares);
}

function finiteNormOf(delta: Float32Array): number {
  const norm = normOf(delta);
  // site-check: finite-update
  if (!Number.isFinite(norm)) {
    throw new ConsiliumError("not-finite", "training left parameters that are not finite numbers", {
      remedy: "lower the learning rate or look at the data; nothing of this round was sent",
    });
  }
  return norm;
}

/**
 * What a site learned in a round: trained − global.
 * @throws ConsiliumError "not-finite" when training left a value that is not a finite number
 * @throws ConsiliumError "internal" when the vectors differ in length
 */
export function localDelta(trained: Float32Array, global: Float32Array): Float32Array {
  if (trained.length !== global.length) {
    throw new ConsiliumError("internal", `trained ${trained.length} parameters, the checkpoint has ${global.length}`);
  }
  const delta = new Float32Array(trained.length);
  for (let i = 0; i < delta.length; i++) delta[i] = trained[i]! - global[i]!;
  finiteNormOf(delta);
  return delta;
}

/**
 * Scales the delta down, in place, to an L2 norm of at most `l2Clip`.
 * @returns the norm before
 * @throws ConsiliumError "not-finite"
 */
export function clipNorm(delta: Float32Array, l2Clip: number): number {
  const norm = finiteNormOf(delta);
  // site-check: update-norm
  if (norm > l2Clip) {
    const factor = l2Clip / norm;
    for (let i = 0; i < delta.length; i++) delta[i] = delta[i]! * factor;
  }
  return norm;
}

interface TrainedFigures {
  readonly sampleCount: number;
  readonly meanLoss: number;
  readonly steps: number;
  /** By name; names that are no figure are passed over. */
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * The contribution to a plan's sum. Takes over `delta` and clips its norm in place.
 * @throws ConsiliumError "not-finite", or "update-invalid" for a delta of another model
 */
export function contributionOf(from: {
  delta: Float32Array;
  update: TrainedFigures;
  plan: Pick<RoundPlan, "l2Clip">;
  config: Pick<RunConfig, "aggregation" | "privacy" | "rounds" | "cohort">;
  layout: Pick<ParameterLayout, "dimension" | "parameters">;
}): Contribution {
  const { delta, update, plan, config, layout } = from;
  if (delta.length !== layout.dimension) {
    const message = `the update has ${delta.length} values; the model has ${layout.dimension}`;
    throw new ConsiliumError("update-invalid", message, { remedy: "the site trains this round again" });
  }
  const updateNorm = clipNorm(delta, plan.l2Clip);
  const { meanLoss, steps } = update;
  return {
    delta,
    tensorSizes: layout.parameters.map(({ size }) => size),
    sampleCount: siteWeight(config, update.sampleCount),
    ...{ meanLoss, steps, figures: { ...knownFigures(update.figures), updateNorm } },
    noise: siteNoise(config, layout.dimension),
  };
}
