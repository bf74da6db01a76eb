import { ConsiliumError } from "../errors.js";

/** Sines, then cosines, of one coordinate: [count, width], omega_i = 10000^(-i / (width / 2)). */
function encodeCoordinate(position: number, width: number, out: Float32Array): void {
  const half = width / 2;
  for (let i = 0; i < half; i++) {
    const angle = position * 10000 ** (-i / half);
    out[i] = Math.sin(angle);
    out[half + i] = Math.cos(angle);
  }
}

/**
 * Fixed two-dimensional positions of masked autoencoders (He et al. 2022): [grid² + 1, width], row-major. The first
 * half of a row encodes the column, the second the row of the patch; the class token's row is zero.
 * @throws ConsiliumError "config-invalid" when the width is not a multiple of four
 */
export function sinCosPositions(grid: number, width: number): Float32Array {
  if (width % 4 !== 0) {
    throw new ConsiliumError("config-invalid", `width ${width} cannot hold two-dimensional sine positions`, {
      remedy: "choose a width that is a multiple of 4",
    });
  }
  const half = width / 2;
  const table = new Float32Array((grid * grid + 1) * width);
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const start = (1 + row * grid + column) * width;
      encodeCoordinate(column, half, table.subarray(start, start + half));
      encodeCoordinate(row, half, table.subarray(start + half, start + width));
    }
  }
  return table;
}
