import type { RgbImage } from "../image.js";

/** Both in pixels of the whole, into which the part fits. */
export function copyInto(whole: RgbImage, part: RgbImage, left: number, top: number): void {
  for (let row = 0; row < part.height; row++) {
    const line = part.data.subarray(row * part.width * 3, (row + 1) * part.width * 3);
    whole.data.set(line, ((top + row) * whole.width + left) * 3);
  }
}
