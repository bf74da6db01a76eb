import type { RgbImage } from "../image.js";

/**
 * Copies a picture into a larger one; what does not fit is cut off.
 * @param left where its left upper corner lies, in pixels of the whole; may be outside
 * @param ends first column and row of the whole that stay as they are
 */
export function copyInto(
  whole: RgbImage,
  part: RgbImage,
  left: number,
  top: number,
  ends: { readonly right: number; readonly bottom: number } = { right: whole.width, bottom: whole.height },
): void {
  const [first, last] = [Math.max(0, left), Math.min(left + part.width, whole.width, ends.right)];
  if (first >= last) return;
  const below = Math.min(top + part.height, whole.height, ends.bottom);
  for (let y = Math.max(0, top); y < below; y++) {
    const from = ((y - top) * part.width + first - left) * 3;
    whole.data.set(part.data.subarray(from, from + (last - first) * 3), (y * whole.width + first) * 3);
  }
}
