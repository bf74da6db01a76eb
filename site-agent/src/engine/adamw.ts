import { type Scalar, type Tensor, tf } from "../model/tf.js";

/** One parameter tensor with its two moments, all of the same shape. */
export interface AdamWState {
  readonly parameter: Tensor;
  readonly moment1: Tensor;
  readonly moment2: Tensor;
}

export interface AdamWScalars {
  readonly learningRate: Scalar;
  readonly weightDecay: Scalar;
  /** 1 for the first update since the moments were zero. */
  readonly step: Scalar;
  /** 1, or 0 to leave every state exactly as it is. */
  readonly applied: Scalar;
}

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
}

/** Added to the root of the second moment, as in PyTorch. */
const epsilon = 1e-8;

/** The scalar part of an update, the same for every tensor of a step. */
interface StepFactors {
  readonly keepWeight: Scalar;
  readonly stepSize: Scalar;
  readonly moment1Share: Scalar;
  readonly moment2Share: Scalar;
  /** One over the root of the second moment's bias correction. */
  readonly rootScale: Scalar;
}

/**
 * AdamW (Loshchilov and Hutter 2019) in PyTorch's order: decay, moments, bias-corrected step.
 * Tensors of rank 0 and 1 (biases, norms) are not decayed.
 * @returns the update of one tensor by its gradient, which must be finite
 */
export function adamw(
  scalars: AdamWScalars,
  options: AdamWOptions,
): (state: AdamWState, gradient: Tensor) => AdamWState {
  const factors = stepFactors(scalars, options);
  return (state, gradient) => update(state, gradient, factors);
}

function stepFactors(scalars: AdamWScalars, { beta1, beta2 }: AdamWOptions): StepFactors {
  const { learningRate, weightDecay, step, applied } = scalars;
  const rate: Scalar = tf.mul(learningRate, applied);
  return {
    keepWeight: tf.sub(1, tf.mul(rate, weightDecay)),
    stepSize: tf.div(rate, biasCorrection(beta1, step)),
    moment1Share: tf.mul(applied, 1 - beta1),
    moment2Share: tf.mul(applied, 1 - beta2),
    rootScale: tf.rsqrt(biasCorrection(beta2, step)),
  };
}

/** 1 - beta^step, without losing the digits that a difference of nearly equal numbers would lose. */
function biasCorrection(beta: number, step: Scalar): Scalar {
  return tf.neg(tf.expm1(tf.mul(step, Math.log(beta))));
}

function update(state: AdamWState, gradient: Tensor, factors: StepFactors): AdamWState {
  const { keepWeight, stepSize, moment1Share, moment2Share, rootScale } = factors;
  const moment1 = approach(state.moment1, gradient, moment1Share);
  const moment2 = approach(state.moment2, tf.square(gradient), moment2Share);
  const direction = tf.div(moment1, tf.add(tf.mul(tf.sqrt(moment2), rootScale), epsilon));
  const decayed: Tensor = state.parameter.rank > 1 ? tf.mul(state.parameter, keepWeight) : state.parameter;
  return { parameter: tf.sub(decayed, tf.mul(direction, stepSize)), moment1, moment2 };
}

/** A moving average; a share of zero keeps it bit by bit. */
function approach(average: Tensor, target: Tensor, share: Scalar): Tensor {
  return tf.add(average, tf.mul(tf.sub(target, average), share));
}
