import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Tensor, type Tensor2D, type Tensor3D, tf } from "./tf.js";

export interface GridResize {
  /** Patches along one side before. */
  readonly from: number;
  /** Patches along one side after. */
  readonly to: number;
  /**
   * Added to `to` where the distance between samples is computed, from / (to + offset), as DINOv2 does with 0.1 to have
   * the right size after rounding. Absent: 0, which is resizing to a size.
   */
  readonly offset?: number;
}

/** Of the cubic convolution kernel (Keys 1981); PyTorch's choice. */
const sharpness = -0.75;

/** Weights of the four samples around a point at distance t in [0, 1) after the second. */
function kernel(t: number): number[] {
  const near = (x: number) => ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1;
  const far = (x: number) => ((sharpness * x - 5 * sharpness) * x + 8 * sharpness) * x - 4 * sharpness;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/**
 * Bicubic interpolation along one axis as a matrix [to, from], row-major: half-pixel centres, edge samples repeated, no
 * smoothing; what PyTorch's `interpolate(mode="bicubic", align_corners=False)` does.
 */
function axisMatrix({ from, to, offset = 0 }: GridResize): number[][] {
  return Array.from({ length: to }, (_, row) => {
    const weights = new Array<number>(from).fill(0);
    const place = (row + 0.5) * (from / (to + offset)) - 0.5;
    const second = Math.floor(place);
    for (const [index, weight] of kernel(place - second).entries()) {
      weights[Math.min(Math.max(second - 1 + index, 0), from - 1)]! += weight;
    }
    return weights;
  });
}

/** Bicubic interpolation of a square grid as a matrix [to², from²], row-major, for grids written row by row. */
export function resizeMatrix(resize: GridResize): Float32Array {
  const { from, to } = resize;
  const axis = axisMatrix(resize);
  const matrix = new Float32Array((to * from) ** 2);
  let place = 0;
  for (const down of axis) {
    for (const across of axis) {
      for (const a of down) for (const b of across) matrix[place++] = a * b;
    }
  }
  return matrix;
}

/**
 * Learned positions for another number of patches: [1, 1 + from², width] → [1, 1 + to², width]. The class token's row
 * stays; a grid of the wanted size comes back as it is. One product with a constant, so that gradients reach the
 * positions.
 * @throws ConsiliumError "internal" when the patch rows are no square grid
 */
export function resizePositions(positions: Tensor, to: number, offset?: number): Tensor3D {
  const [, rows = 0, width = 0] = positions.shape;
  const from = Math.round(Math.sqrt(rows - 1));
  if (from ** 2 !== rows - 1) {
    throw new ConsiliumError("internal", `${rows - 1} patch positions are no square grid`);
  }
  if (from === to) return positions as Tensor3D;
  const matrix = tf.tensor2d(resizeMatrix({ from, to, ...(offset === undefined ? {} : { offset }) }), [
    to ** 2,
    from ** 2,
  ]);
  const flat = tf.reshape(positions, [rows, width]) as Tensor2D;
  const grid = tf.slice(flat, [1, 0], [rows - 1, width]);
  const resized = tf.concat([tf.slice(flat, [0, 0], [1, width]), tf.matMul(matrix, grid)], 0);
  return tf.reshape(resized, [1, 1 + to ** 2, width]);
}
