import { type Tensor, tf } from "./tf.js";

export interface LayerNormInput {
  /** [..., width] */
  readonly x: Tensor;
  /** [width] */
  readonly weight: Tensor;
  /** [width] */
  readonly bias: Tensor;
  /** Added to the variance. */
  readonly epsilon: number;
}

interface Saved {
  /** [..., width], mean 0 and variance 1 over the last axis. */
  readonly normalised: Tensor;
  /** [..., 1], one over the standard deviation. */
  readonly inverse: Tensor;
  /** [width] */
  readonly weight: Tensor;
}

function standardise(x: Tensor, epsilon: number): { normalised: Tensor; inverse: Tensor } {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const inverse: Tensor = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  return { normalised: tf.mul(centred, inverse), inverse };
}

/** [width] from [..., width]. */
function sumRows(x: Tensor): Tensor {
  return tf.sum(tf.reshape(x, [-1, x.shape.at(-1) ?? 1]), 0);
}

/** dx = (g − mean(g) − x̂ mean(g x̂)) / σ with g = dy × weight, means over the last axis. */
function gradients(dy: Tensor, { normalised, inverse, weight }: Saved): Tensor[] {
  const scaled = tf.mul(dy, weight);
  const along = tf.mean(tf.mul(scaled, normalised), -1, true);
  const across = tf.sub(tf.sub(scaled, tf.mean(scaled, -1, true)), tf.mul(normalised, along));
  return [tf.mul(across, inverse), sumRows(tf.mul(dy, normalised)), sumRows(dy)];
}

/** [..., width] → [..., width]. The hand-written gradient reuses the normalised values of the forward pass. */
export function layerNorm({ x, weight, bias, epsilon }: LayerNormInput): Tensor {
  const withGradients = tf.customGrad((...args) => {
    const [input, scale, shift, save] = args as [Tensor, Tensor, Tensor, (tensors: Tensor[]) => void];
    const { normalised, inverse } = standardise(input, epsilon);
    save([normalised, inverse, scale]);
    return {
      value: tf.add(tf.mul(normalised, scale), shift),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [first, second, third] = saved as [Tensor, Tensor, Tensor];
        return gradients(dy, { normalised: first, inverse: second, weight: third });
      },
    };
  });
  return withGradients(x, weight, bias);
}
