import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import type { Operand, Updated, UpdateRule } from "./update-rule.js";

export interface LarsOptions {
  readonly momentum: number;
  /** η */
  readonly trustCoefficient: number;
}

interface Rates {
  readonly learningRate: Scalar;
  readonly weightDecay: Scalar;
}

/** What the gradient and, with decay, the parameter are multiplied with on their way into the momentum. */
interface Shares {
  readonly gradient: Tensor | undefined;
  readonly parameter?: Tensor;
}

/**
 * LARS (You, Gitman and Ginsburg 2017): v ← μ v + r (g + λ p), p ← p − lr v, with the trust ratio
 * r = η ‖p‖ / (‖g‖ + λ ‖p‖) of each tensor. As BYOL has it (Grill et al. 2020), the rate stays outside the momentum, and
 * tensors of rank one and less have r = 1 and no decay. A tensor of zeros has r = 1 too: it could not leave zero.
 */
export function lars(options: LarsOptions): UpdateRule {
  return {
    slots: ["momentum"],
    scalars: ["learningRate", "weightDecay"],
    begin({ learningRate, weightDecay }) {
      if (learningRate === undefined || weightDecay === undefined) {
        throw new ConsiliumError("internal", "LARS lacks one of its scalars");
      }
      return (operand) => update(operand, options, { learningRate, weightDecay });
    },
  };
}

function update(operand: Operand, options: LarsOptions, rates: Rates): Updated {
  const { parameter, slots, gradient } = operand;
  const shares = operand.decays ? adaptedShares(operand, options, rates) : { gradient: operand.factor };
  const slowed = tf.mul(slots["momentum"]!, options.momentum);
  const pushed = tf.add(slowed, shares.gradient === undefined ? gradient : tf.mul(gradient, shares.gradient));
  const momentum = shares.parameter === undefined ? pushed : tf.add(pushed, tf.mul(parameter, shares.parameter));
  return { parameter: tf.sub(parameter, tf.mul(momentum, rates.learningRate)), slots: { momentum } };
}

function adaptedShares(operand: Operand, { trustCoefficient }: LarsOptions, { weightDecay }: Rates): Shares {
  const { parameter, squareSum, factor } = operand;
  const stacked = squareSum.rank > 0;
  const length = tf.sqrt(tf.sum(tf.square(parameter), stacked ? 1 : undefined, stacked));
  const slope = scaled(tf.sqrt(squareSum), factor);
  const resistance = tf.add(slope, tf.mul(length, weightDecay));
  const adapts = tf.logicalAnd(tf.greater(length, 0), tf.greater(resistance, 0));
  const ratio = tf.where(adapts, tf.div(tf.mul(length, trustCoefficient), resistance), tf.onesLike(length));
  return { gradient: scaled(ratio, factor), parameter: tf.mul(ratio, weightDecay) };
}

function scaled(x: Tensor, factor: Tensor | undefined): Tensor {
  return factor === undefined ? x : tf.mul(x, factor);
}
