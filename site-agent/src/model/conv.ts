import { type Tensor, type Tensor4D, tf } from "./tf.js";

export interface ConvolutionOptions {
  readonly stride: number;
  /** Zeros on every side. */
  readonly padding: number;
}

/** x [batch, rows, columns, inputs], weight [outputs, inputs, side, side] → [batch, rows / stride, …, outputs]. */
export function convolve(x: Tensor, weight: Tensor, { stride, padding }: ConvolutionOptions): Tensor4D {
  const filter = tf.transpose(weight, [2, 3, 1, 0]);
  return tf.conv2d(x as Tensor4D, filter as Tensor4D, stride, padding);
}
