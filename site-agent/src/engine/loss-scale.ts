import { ConsiliumError } from "@consilium/shared/errors.js";

/**
 * The factor on the loss that keeps small gradients of a mixed-precision step inside float16's range (Micikevicius et
 * al. 2018): it halves when a step is not finite, and doubles after a long run of finite ones. Plain data: it belongs to
 * a training state, so that a resumed round does not search again. A power of two, so that scaling rounds nothing.
 */
export interface LossScale {
  readonly scale: number;
  /** Finite steps since the scale last changed. */
  readonly finiteSteps: number;
}

export interface LossScaleOptions {
  readonly start: number;
  readonly least: number;
  readonly most: number;
  /** Finite steps in a row after which the scale doubles. */
  readonly growthInterval: number;
}

const defaults: LossScaleOptions = { start: 2 ** 16, least: 1, most: 2 ** 24, growthInterval: 2000 };

/** @throws ConsiliumError "internal" unless least ≤ start ≤ most, all powers of two */
export function initialLossScale(options: Partial<LossScaleOptions> = {}): LossScale {
  const { start, least, most } = { ...defaults, ...options };
  const powers = [start, least, most].every((scale) => scale > 0 && Number.isInteger(Math.log2(scale)));
  if (!powers || start < least || start > most) {
    throw new ConsiliumError("internal", `loss scale ${start} is no power of two from ${least} to ${most}`);
  }
  return { scale: start, finiteSteps: 0 };
}

/**
 * The scale for the next step.
 * @param finite whether the step that this scale was used for had a finite loss and finite gradients
 */
export function afterStep(
  { scale, finiteSteps }: LossScale,
  finite: boolean,
  options: Partial<LossScaleOptions> = {},
): LossScale {
  const { least, most, growthInterval } = { ...defaults, ...options };
  if (!finite) return { scale: Math.max(least, scale / 2), finiteSteps: 0 };
  if (finiteSteps + 1 < growthInterval) return { scale, finiteSteps: finiteSteps + 1 };
  return { scale: Math.min(most, scale * 2), finiteSteps: 0 };
}

/**
 * The scale after steps that were all taken with the same one: it halves once, however many of them were not finite.
 * @param finite for each step
 */
export function afterSteps(lossScale: LossScale, finite: readonly boolean[]): LossScale {
  if (!finite.every((step) => step)) return afterStep(lossScale, false);
  return finite.reduce((scale) => afterStep(scale, true), lossScale);
}

/** Whether a step that was not finite may be finite at a lower scale; at the lowest, the loss itself is to blame. */
export function canLower({ scale }: LossScale, options: Partial<LossScaleOptions> = {}): boolean {
  return scale > { ...defaults, ...options }.least;
}
