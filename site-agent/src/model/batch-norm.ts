import { type Tensor, type Tensor1D, tf } from "./tf.js";

export interface BatchNormInput {
  /** [batch, rows, columns, channels] */
  readonly x: Tensor;
  /** [channels] */
  readonly weight: Tensor;
  /** [channels] */
  readonly bias: Tensor;
  /** Added to the variance. */
  readonly epsilon: number;
}

/** What was seen of each channel so far: [channels]. */
export interface RunningStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

const positions = [0, 1, 2];

interface Centred {
  /** [batch, rows, columns, channels], mean 0 per channel. */
  readonly centred: Tensor;
  /** [channels], of the batch itself: divided by the number of elements. */
  readonly mean: Tensor;
  readonly variance: Tensor;
}

function centre(x: Tensor): Centred {
  const mean: Tensor = tf.mean(x, positions);
  const centred = tf.sub(x, mean);
  return { centred, mean, variance: tf.mean(tf.square(centred), positions) };
}

interface Saved {
  readonly centred: Tensor;
  /** [channels], one over the standard deviation. */
  readonly inverse: Tensor;
  readonly weight: Tensor;
}

/**
 * dx = (w / σ) (dy − mean(dy) − x̂ mean(dy x̂)) with x̂ = centred / σ, written as one factor per channel for dy, one
 * for the centred input and one shift, so that few passes go over the images.
 */
function gradients(dy: Tensor, { centred, inverse, weight }: Saved): Tensor[] {
  const channels = weight.size;
  const count = centred.size / channels;
  const biasGradient: Tensor = tf.sum(dy, positions);
  const weightGradient = tf.mul(tf.sum(tf.mul(dy, centred), positions), inverse);
  const scale = tf.mul(weight, inverse);
  const share = tf.mul(scale, -1 / count);
  const ofCentred = tf.mul(tf.mul(share, inverse), weightGradient);
  const shift = tf.mul(share, biasGradient);
  const dx = tf.add(tf.add(tf.mul(dy, scale), tf.mul(centred, ofCentred)), shift);
  return [dx, weightGradient, biasGradient];
}

/**
 * Normalises every channel by the batch's own mean and variance, then scales and shifts (Ioffe and Szegedy 2015).
 * [batch, rows, columns, channels] → the same.
 */
export function batchNorm({ x, weight, bias, epsilon }: BatchNormInput): Tensor {
  const withGradients = tf.customGrad((...args) => {
    const [input, scale, shift, save] = args as [Tensor, Tensor, Tensor, (tensors: Tensor[]) => void];
    const { centred, variance } = centre(input);
    const inverse: Tensor = tf.rsqrt(tf.add(variance, epsilon));
    save([centred, inverse, scale]);
    return {
      value: tf.add(tf.mul(centred, tf.mul(inverse, scale)), shift),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [first, second, third] = saved as [Tensor, Tensor, Tensor];
        return gradients(dy, { centred: first, inverse: second, weight: third });
      },
    };
  });
  return withGradients(x, weight, bias);
}

/**
 * The running statistics after one more batch: a tenth of the way from before to the batch's mean and unbiased variance,
 * as in torch. Compiled, what `batchNorm` computes of the same x is computed once.
 */
export function observe(x: Tensor, before: RunningStatistics, momentum = 0.1): RunningStatistics {
  const { mean, variance } = centre(x);
  const count = x.size / (x.shape.at(-1) ?? 1);
  const unbiased = tf.mul(variance, count / Math.max(1, count - 1));
  const towards = (old: Tensor, seen: Tensor): Tensor1D => tf.add(tf.mul(old, 1 - momentum), tf.mul(seen, momentum));
  return { mean: towards(before.mean, mean), variance: towards(before.variance, unbiased) };
}

/** The same normalisation by running statistics, for evaluation. */
export function normalizeBy({ mean, variance }: RunningStatistics, input: BatchNormInput): Tensor {
  const scale = tf.mul(input.weight, tf.rsqrt(tf.add(variance, input.epsilon)));
  return tf.add(tf.mul(input.x, scale), tf.sub(input.bias, tf.mul(mean, scale)));
}
