import { type Scalar, type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { unitRows } from "./nt-xent.js";

const epsilon = 1e-8;

/** For each row of unit features [rows, width] the most similar other row: the same shape. */
function nearestOthers(unit: Tensor2D): Tensor {
  const rows = unit.shape[0];
  const withGradient = tf.customGrad((...args) => {
    const [input, save] = args as [Tensor2D, (tensors: Tensor[]) => void];
    // No similarity is as low as a row's with itself is made here.
    const apart = tf.sub(tf.matMul(input, input, false, true), tf.mul(tf.eye(rows), 4));
    // By comparison, as GPUs have no kernel for the place of a maximum. Rows that are equally near share the weight.
    const nearest = tf.cast(tf.greaterEqual(apart, tf.max(apart, 1, true)), "float32");
    const chosen: Tensor = tf.div(nearest, tf.sum(nearest, 1, true));
    save([chosen]);
    return {
      value: tf.matMul(chosen as Tensor2D, input),
      gradFunc: (dy: Tensor, saved: Tensor[]) => tf.matMul(saved[0] as Tensor2D, dy as Tensor2D, true, false),
    };
  });
  return withGradient(unit);
}

/**
 * Kozachenko–Leonenko entropy estimate as a regulariser (Sablayrolles et al. 2019, Oquab et al. 2023): minus the mean
 * logarithm of the distance to the nearest other feature of the batch. Features [rows, width] are put on the sphere;
 * which one is nearest has no gradient. Lower is more spread out.
 */
export function koleo(features: Tensor2D): Scalar {
  const unit = unitRows(features);
  const squares = tf.sum(tf.square(tf.add(tf.sub(unit, nearestOthers(unit)), epsilon)), 1);
  return tf.neg(tf.mean(tf.log(tf.add(tf.sqrt(squares), epsilon))));
}
