import type { FeatureSet } from "./feature-set.js";

/** Levels of each channel. */
const levels = 8;

/**
 * Joint histogram of red, green and blue in 8 levels each, square roots of shares: what colour alone tells. A floor for
 * encoders, which on stained tissue is high.
 * @param images 8-bit, interleaved red, green, blue
 */
export function colourHistograms(images: readonly Uint8Array[]): FeatureSet {
  const width = levels ** 3;
  const values = new Float32Array(images.length * width);
  for (const [row, pixels] of images.entries()) {
    const histogram = values.subarray(row * width, (row + 1) * width);
    const share = 3 / pixels.length;
    for (let at = 0; at < pixels.length; at += 3) {
      const [red, green, blue] = [pixels[at]! >> 5, pixels[at + 1]! >> 5, pixels[at + 2]! >> 5];
      const bin = (red * levels + green) * levels + blue;
      histogram[bin] = histogram[bin]! + share;
    }
    for (const [bin, value] of histogram.entries()) histogram[bin] = Math.sqrt(value);
  }
  return { count: images.length, width, values };
}
