import { type Scalar, type Tensor, type Tensor2D, tf } from "../model/tf.js";

const iterations = 3;

/** Keeps the quotient of a row that does not count at zero. */
const tiny = 1e-30;

/**
 * Balances a teacher's outputs over prototypes and samples (Cuturi 2013, Caron et al. 2020): three times every prototype's
 * total becomes 1/K, then every sample's 1/rows. Logits [rows, K] → probabilities [rows, K], rows that sum to one.
 * @param counts [rows], 1 for a sample and 0 for a row that only fills up, which comes back as zeros; absent: all count
 */
export function sinkhornKnopp(logits: Tensor2D, temperature: Scalar | number, counts?: Tensor): Tensor2D {
  const prototypes = logits.shape[1];
  // A common factor cancels in the first division; without it the exponential may overflow.
  const scaled = tf.div(tf.sub(logits, tf.max(logits)), temperature);
  const present = counts === undefined ? undefined : tf.reshape(counts, [-1, 1]);
  let plan: Tensor = present === undefined ? tf.exp(scaled) : tf.mul(tf.exp(scaled), present);
  plan = tf.div(plan, tf.sum(plan));
  const samples = present === undefined ? tf.scalar(logits.shape[0]) : tf.sum(present);
  for (let iteration = 0; iteration < iterations; iteration++) {
    plan = tf.div(plan, tf.mul(tf.add(tf.sum(plan, 0, true), tiny), prototypes));
    plan = tf.div(plan, tf.mul(tf.add(tf.sum(plan, 1, true), tiny), samples));
  }
  return tf.mul(plan, samples);
}
