import { type Scalar, type Tensor2D, tf } from "../model/tf.js";
import { unitRows } from "./nt-xent.js";

/**
 * Row i of the queries [rows, width] is to be most like row i of the keys, among all keys: cross entropy of cosines over
 * the temperature, times 2 τ, which keeps the gradient's size whatever τ is (Chen, Xie and He 2021).
 */
export function infoNce(queries: Tensor2D, keys: Tensor2D, temperature: number): Scalar {
  const rows = queries.shape[0];
  const cosines = tf.matMul(unitRows(queries), unitRows(keys), false, true);
  const logProbabilities = tf.logSoftmax(tf.mul(cosines, 1 / temperature));
  const own = tf.mul(tf.eye(rows), (-2 * temperature) / rows);
  return tf.sum(tf.mul(logProbabilities, own));
}
