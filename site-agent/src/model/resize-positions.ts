import { ConsiliumError } from "@consilium/shared/errors.js";
import { type GridResize, resizeMatrix } from "@consilium/shared/params/resize-grid.js";
import { type Tensor, type Tensor2D, type Tensor3D, tf } from "./tf.js";

/**
 * Learned positions for another number of patches: [1, 1 + from², width] → [1, 1 + to², width]. The class token's row
 * stays; a grid of the wanted size comes back as it is. One product with a constant, so that gradients reach the
 * positions.
 * @throws ConsiliumError "internal" when the patch rows are no square grid
 */
export function resizePositions(
  positions: Tensor,
  to: number,
  how: Pick<GridResize, "offset" | "antialias"> = {},
): Tensor3D {
  const [, rows = 0, width = 0] = positions.shape;
  const from = Math.round(Math.sqrt(rows - 1));
  if (from ** 2 !== rows - 1) {
    throw new ConsiliumError("internal", `${rows - 1} patch positions are no square grid`);
  }
  if (from === to) return positions as Tensor3D;
  const matrix = tf.tensor2d(resizeMatrix({ from, to, ...how }), [to ** 2, from ** 2]);
  const flat = tf.reshape(positions, [rows, width]) as Tensor2D;
  const grid = tf.slice(flat, [1, 0], [rows - 1, width]);
  const resized = tf.concat([tf.slice(flat, [0, 0], [1, width]), tf.matMul(matrix, grid)], 0);
  return tf.reshape(resized, [1, 1 + to ** 2, width]);
}
