import { type Scalar, type Tensor2D, tf } from "../model/tf.js";

/** Far below any similarity, so that a view never counts as its own neighbour; finite, so that 0 × it stays 0. */
const excluded = -1e9;

/** [2n, 2n]: `value` where `at` says so, zero elsewhere. */
function pattern(count: number, at: (row: number) => number, value: number): Tensor2D {
  const values = new Float32Array(count * count);
  for (let row = 0; row < count; row++) values[row * count + at(row)] = value;
  return tf.tensor2d(values, [count, count]);
}

/** Rows of length one: [rows, width] → [rows, width]. */
export function unitRows(x: Tensor2D): Tensor2D {
  return tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), 1, true), 1e-12)));
}

/**
 * Normalised temperature-scaled cross entropy (Chen et al. 2020). Row i and row i + n of [2n, width] are views of one
 * image; all other rows are negatives. Starts near ln(2n - 1).
 */
export function ntXent(projections: Tensor2D, temperature: number): Scalar {
  const count = projections.shape[0];
  const unit = unitRows(projections);
  const similarities = tf.matMul(tf.mul(unit, 1 / temperature), unit, false, true);
  const itself = pattern(count, (row) => row, excluded);
  const partner = pattern(count, (row) => (row + count / 2) % count, -1 / count);
  return tf.sum(tf.mul(tf.logSoftmax(tf.add(similarities, itself)), partner));
}
