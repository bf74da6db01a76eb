import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Scalar, tf } from "../model/tf.js";
import type { Operand, Updated, UpdateRule } from "./update-rule.js";

export interface SgdOptions {
  readonly momentum: number;
}

interface Rates {
  readonly learningRate: Scalar;
  readonly weightDecay: Scalar;
}

/**
 * SGD with momentum as PyTorch has it, without dampening and Nesterov's look ahead: v ← μ v + g + λ p, p ← p − lr v
 * (Sutskever et al. 2013, with the rate outside the momentum). Tensors of rank one and less do not decay.
 */
export function sgd(options: SgdOptions): UpdateRule {
  return {
    slots: ["momentum"],
    scalars: ["learningRate", "weightDecay"],
    begin({ learningRate, weightDecay }) {
      if (learningRate === undefined || weightDecay === undefined) {
        throw new ConsiliumError("internal", "SGD lacks one of its scalars");
      }
      return (operand) => update(operand, options, { learningRate, weightDecay });
    },
  };
}

function update(operand: Operand, options: SgdOptions, { learningRate, weightDecay }: Rates): Updated {
  const { parameter, slots, gradient, factor, decays } = operand;
  const slope = factor === undefined ? gradient : tf.mul(gradient, factor);
  const direction = decays ? tf.add(slope, tf.mul(parameter, weightDecay)) : slope;
  const momentum = tf.add(tf.mul(slots["momentum"]!, options.momentum), direction);
  return { parameter: tf.sub(parameter, tf.mul(momentum, learningRate)), slots: { momentum } };
}
