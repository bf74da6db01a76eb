import { type Scalar, type Tensor, tf } from "../model/tf.js";

export interface PixelLossInput {
  /** [batch, patches, values] */
  readonly prediction: Tensor;
  /** [batch, patches, values] */
  readonly target: Tensor;
  /** [batch, patches]: 1 where the loss counts. */
  readonly mask: Tensor;
  /** Compare with patches of mean 0 and unbiased variance 1. */
  readonly normalize: boolean;
}

const varianceEpsilon = 1e-6;

/** [..., values] → the same, each patch standardised with its unbiased variance. */
function standardisePatches(patches: Tensor): Tensor {
  const values = patches.shape.at(-1) ?? 0;
  const centred = tf.sub(patches, tf.mean(patches, -1, true));
  const variance = tf.mul(tf.sum(tf.square(centred), -1, true), 1 / (values - 1));
  return tf.mul(centred, tf.rsqrt(tf.add(variance, varianceEpsilon)));
}

/** Mean squared error over the values of a patch, then over the masked patches of the whole batch. */
export function pixelLoss({ prediction, target, mask, normalize }: PixelLossInput): Scalar {
  const wanted = normalize ? standardisePatches(target) : target;
  const perPatch = tf.mean(tf.square(tf.sub(prediction, wanted)), -1);
  return tf.div(tf.sum(tf.mul(perPatch, mask)), tf.sum(mask));
}
