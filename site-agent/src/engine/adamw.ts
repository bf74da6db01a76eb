import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import type { Operand, Updated, UpdateRule } from "./update-rule.js";

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
}

/** Added to the root of the bias-corrected second moment, as in PyTorch. */
const epsilon = 1e-8;

/** The scalar part of an update, the same for every tensor of a step. */
interface StepFactors extends AdamWOptions {
  readonly keepWeight: Scalar;
  readonly stepSize: Scalar;
  readonly epsilon: Scalar;
}

/**
 * AdamW (Loshchilov and Hutter 2019) in PyTorch's order: decay, moments, bias-corrected step. Both bias corrections are
 * in the step size and in epsilon, and the factor of the gradient is in the moments' shares, so that a tensor takes
 * thirteen passes over memory, its squares included, and one less without decay.
 */
export function adamw(options: AdamWOptions): UpdateRule {
  return {
    slots: ["moment1", "moment2"],
    scalars: ["learningRate", "weightDecay", "step"],
    begin(scalars) {
      const factors = stepFactors(scalars, options);
      return (operand) => update(operand, factors);
    },
  };
}

function stepFactors(scalars: Readonly<Record<string, Scalar>>, options: AdamWOptions): StepFactors {
  const { learningRate, weightDecay, step } = scalars;
  if (learningRate === undefined || weightDecay === undefined || step === undefined) {
    throw new ConsiliumError("internal", "AdamW lacks one of its scalars");
  }
  const rootCorrection: Scalar = tf.sqrt(biasCorrection(options.beta2, step));
  return {
    ...options,
    keepWeight: tf.sub(1, tf.mul(learningRate, weightDecay)),
    stepSize: tf.mul(tf.div(learningRate, biasCorrection(options.beta1, step)), rootCorrection),
    epsilon: tf.mul(rootCorrection, epsilon),
  };
}

/** 1 - beta^step, without losing the digits that a difference of nearly equal numbers would lose. */
function biasCorrection(beta: number, step: Scalar): Scalar {
  return tf.neg(tf.expm1(tf.mul(step, Math.log(beta))));
}

function update({ parameter, slots, gradient, squares, factor, decays }: Operand, factors: StepFactors): Updated {
  const { beta1, beta2 } = factors;
  const squareFactor = factor && tf.square(factor);
  const moment1 = movedMoment(slots["moment1"]!, beta1, tf.mul(gradient, share(beta1, factor)));
  const moment2 = movedMoment(slots["moment2"]!, beta2, tf.mul(squares, share(beta2, squareFactor)));
  const direction = tf.div(moment1, tf.add(tf.sqrt(moment2), factors.epsilon));
  const kept: Tensor = decays ? tf.mul(parameter, factors.keepWeight) : parameter;
  return { parameter: tf.sub(kept, tf.mul(direction, factors.stepSize)), slots: { moment1, moment2 } };
}

function share(beta: number, factor: Tensor | undefined): Tensor | number {
  return factor === undefined ? 1 - beta : tf.mul(factor, 1 - beta);
}

function movedMoment(moment: Tensor, beta: number, addend: Tensor): Tensor {
  return tf.add(tf.mul(moment, beta), addend);
}
