import { pixelFactor, pixelOffset } from "./pixel-scale.js";
import { type Tensor, tf } from "./tf.js";

/**
 * 8-bit images to the scale on which models work: (x / 255 - mean) / deviation per channel, with ImageNet's constants.
 * float32 [..., 3] in 0 … 255 → the same shape.
 */
export function normalised(images: Tensor): Tensor {
  return tf.add(tf.mul(images, tf.tensor1d([...pixelFactor])), tf.tensor1d([...pixelOffset]));
}
