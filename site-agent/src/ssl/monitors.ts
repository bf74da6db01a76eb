import { type Scalar, type Tensor2D, tf } from "../model/tf.js";
import { unitRows } from "./nt-xent.js";

/** Figures that tell whether an encoder still tells images apart. Only for watching: no loss contains them. */

/**
 * Spread of unit features [rows, width] over the batch, one value: near 1 when they fill the sphere, near 0 when all
 * images look alike to the encoder.
 */
export function featureSpread(features: Tensor2D): Scalar {
  const unit = unitRows(features);
  const variance = tf.mean(tf.square(tf.sub(unit, tf.mean(unit, 0, true))), 0);
  return tf.mul(tf.mean(tf.sqrt(variance)), Math.sqrt(features.shape[1]));
}

/**
 * In how many directions features [rows, width] vary: (Σλ)² / Σλ² over the eigenvalues λ of their covariance, between 1
 * and the smaller of rows − 1 and width. Needs no eigenvalues: Σλ is the trace and Σλ² the squared norm, which the Gram
 * matrix of rows and that of columns share.
 */
export function effectiveRank(features: Tensor2D): Scalar {
  const [rows, width] = features.shape;
  const centred = tf.sub(features, tf.mean(features, 0, true)) as Tensor2D;
  const gram = rows <= width ? tf.matMul(centred, centred, false, true) : tf.matMul(centred, centred, true, false);
  const trace = tf.sum(tf.square(centred));
  return tf.div(tf.square(trace), tf.add(tf.sum(tf.square(gram)), 1e-30));
}

/** Below any probability that matters, so that zero times its logarithm is zero. */
const tiny = 1e-30;

/** Mean entropy in nats of distributions [rows, K]: 0 when each is certain, ln K when each is uniform. */
export function teacherEntropy(probabilities: Tensor2D): Scalar {
  const logarithms = tf.log(tf.add(probabilities, tiny));
  return tf.neg(tf.mean(tf.sum(tf.mul(probabilities, logarithms), 1)));
}
