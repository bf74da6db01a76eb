import { type Tensor, type Tensor3D, tf } from "./tf.js";

/** Which of a patch's axes runs slowest: as a convolution's kernel has them, or as pixels lie in an image. */
export type PatchOrder = "channel-row-column" | "row-column-channel";

const axes: Readonly<Record<PatchOrder, number[]>> = {
  "channel-row-column": [0, 1, 3, 5, 2, 4],
  "row-column-channel": [0, 1, 3, 2, 4, 5],
};

/** Images [batch, height, width, 3] → patches [batch, patches, 3 × side²], row by row over the image. */
export function patchify(images: Tensor, side: number, order: PatchOrder): Tensor3D {
  const [batch = 0, height = 0, width = 0] = images.shape;
  const [rows, columns] = [height / side, width / side];
  const split = tf.reshape(images, [batch, rows, side, columns, side, 3]);
  return tf.reshape(tf.transpose(split, axes[order]), [batch, rows * columns, 3 * side * side]);
}
