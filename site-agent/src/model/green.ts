import { channelDeviation, channelMean } from "./pixel-scale.js";
import { type Tensor, type Tensor4D, tf } from "./tf.js";

const [, mean] = channelMean;
const [, deviation] = channelDeviation;

/** Normalised images [batch, rows, columns, 3] → their green channel from 0 to 1, as ColorMe's encoder reads it: [batch, rows, columns, 1]. */
export function greenChannel(images: Tensor): Tensor4D {
  const [batch = 0, rows = 0, columns = 0] = images.shape;
  const green = tf.slice(images as Tensor4D, [0, 0, 0, 1], [batch, rows, columns, 1]);
  return tf.add(tf.mul(green, deviation), mean);
}
