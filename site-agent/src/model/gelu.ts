import { type Tensor, tf } from "./tf.js";

const inverseSqrt2 = Math.SQRT1_2;
const inverseSqrt2Pi = 1 / Math.sqrt(2 * Math.PI);

/** Standard normal distribution function of x, element by element. */
function cumulative(x: Tensor): Tensor {
  return tf.add(tf.mul(tf.erf(tf.mul(x, inverseSqrt2)), 0.5), 0.5);
}

/** d gelu / dx = Φ(x) + x φ(x), where Φ(x) comes from the forward pass. */
function gradient(dy: Tensor, [x, phi]: readonly [Tensor, Tensor]): Tensor {
  const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), inverseSqrt2Pi);
  return tf.mul(dy, tf.add(phi, tf.mul(x, density)));
}

/**
 * Exact Gaussian error linear unit x Φ(x), any shape. The hand-written gradient takes six passes over memory where
 * automatic differentiation takes about twice as many.
 */
export function gelu(x: Tensor): Tensor {
  const withGradient = tf.customGrad((input, save) => {
    const source = input as Tensor;
    const keep = save as (tensors: Tensor[]) => void;
    const phi = cumulative(source);
    keep([source, phi]);
    return {
      value: tf.mul(source, phi),
      gradFunc: (dy: Tensor, saved: Tensor[]) => gradient(dy, saved as [Tensor, Tensor]),
    };
  });
  return withGradient(x);
}
