import { type Tensor, type Tensor3D, tf } from "./tf.js";

/**
 * Images [batch, height, width, channels] → patches [batch, patches, side² × channels], row by row over the image; inside a patch row,
 * column, channel, as pixels lie in an image.
 */
export function patchify(images: Tensor, side: number): Tensor3D {
  const [batch = 0, height = 0, width = 0, channels = 0] = images.shape;
  const [rows, columns] = [height / side, width / side];
  const split = tf.reshape(images, [batch, rows, side, columns, side, channels]);
  return tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4, 5]), [batch, rows * columns, channels * side * side]);
}
