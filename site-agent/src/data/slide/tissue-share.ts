import type { TilePlace } from "./tile-grid.js";
import type { TissueMask } from "./tissue-mask.js";

/**
 * Share of a square that is tissue, in constant time whatever its size (summed areas, Crow 1984).
 * @param pitch pixels of level 0 along one of the mask's
 */
export function tissueShares(
  { width, height, data }: Omit<TissueMask, "isDark">,
  pitch: number,
): (place: TilePlace) => number {
  const stride = width + 1;
  const sums = new Uint32Array(stride * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      row += data[y * width + x]!;
      sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1]! + row;
    }
  }
  return ({ x, y, side }) => {
    const [left, right] = span(x / pitch, (x + side) / pitch, width);
    const [top, bottom] = span(y / pitch, (y + side) / pitch, height);
    const upper = sums[top * stride + right]! - sums[top * stride + left]!;
    const lower = sums[bottom * stride + right]! - sums[bottom * stride + left]!;
    return (lower - upper) / ((right - left) * (bottom - top));
  };
}

/** Whole pixels of the mask: at least one, and inside. */
function span(from: number, to: number, length: number): [number, number] {
  const first = Math.min(length - 1, Math.round(from));
  return [first, Math.min(length, Math.max(first + 1, Math.round(to)))];
}
