import type { RgbImage } from "../image.js";

/**
 * How sharp a picture is: the variance of the Laplacian (Pech-Pacheco et al. 2000) of its brightness.
 * @returns in squared units of 8-bit brightness; 0 for a picture without detail
 */
export function laplacianVariance({ width, height, data }: RgbImage): number {
  const grey = brightnessOf(data);
  const count = (width - 2) * (height - 2);
  if (width < 3 || height < 3) return 0;
  let [sum, squares] = [0, 0];
  for (let y = 1; y < height - 1; y++) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at++) {
      const value = grey[at - 1]! + grey[at + 1]! + grey[at - width]! + grey[at + width]! - 4 * grey[at]!;
      sum += value;
      squares += value * value;
    }
  }
  return squares / count - (sum / count) ** 2;
}

/** ITU-R BT.601. */
function brightnessOf(rgb: Uint8Array): Float32Array {
  const grey = new Float32Array(rgb.length / 3);
  for (let pixel = 0, at = 0; pixel < grey.length; pixel++, at += 3) {
    grey[pixel] = 0.299 * rgb[at]! + 0.587 * rgb[at + 1]! + 0.114 * rgb[at + 2]!;
  }
  return grey;
}
