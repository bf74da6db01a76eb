import { type Tensor, tf } from "./tf.js";

const inverseSqrt2 = Math.SQRT1_2;
const slopeAtZero = 2 / Math.sqrt(Math.PI);

/**
 * Exact Gaussian error linear unit x Φ(x), any shape. With t = x / √2 it is t (1 + erf t) / √2, whose derivative by t,
 * but for the last factor, is (1 + erf t) + (2 / √π) t exp(-t²). Written so, both scalings by 1 / √2 can move into the
 * matrix products before and after, and the hand-written gradient takes five passes over memory.
 */
export function gelu(x: Tensor): Tensor {
  return tf.mul(scaledGelu(tf.mul(x, inverseSqrt2)), inverseSqrt2);
}

/** t (1 + erf t) */
function scaledGelu(t: Tensor): Tensor {
  const withGradient = tf.customGrad((input, save) => {
    const source = input as Tensor;
    const keep = save as (tensors: Tensor[]) => void;
    const twicePhi: Tensor = tf.add(tf.erf(source), 1);
    keep([source, twicePhi]);
    return {
      value: tf.mul(source, twicePhi),
      gradFunc: (dy: Tensor, saved: Tensor[]) => gradient(dy, saved as [Tensor, Tensor]),
    };
  });
  return withGradient(t);
}

/** Division by exp(t²) instead of a product with exp(-t²) saves the negation; where it overflows the quotient is zero. */
function gradient(dy: Tensor, [t, twicePhi]: readonly [Tensor, Tensor]): Tensor {
  const bell = tf.div(t, tf.exp(tf.square(t)));
  return tf.mul(dy, tf.add(twicePhi, tf.mul(bell, slopeAtZero)));
}
