/** One band, row by row from the top. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * Resizes with a triangle filter that widens where pixels are merged, so that enlarging interpolates linearly and
 * shrinking averages: what Pillow calls BILINEAR.
 */
export function resampleGrey(image: GreyImage, width: number, height: number): Uint8Array {
  if (width === image.width && height === image.height) return image.data;
  const wide = new Float32Array(width * image.height);
  const columns = contributions(image.width, width);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x]!;
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i]! * image.data[y * image.width + first + i]!;
      wide[y * width + x] = sum;
    }
  }
  const result = new Uint8ClampedArray(width * height);
  for (const [y, { first, weights }] of contributions(image.height, height).entries()) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i]! * wide[(first + i) * width + x]!;
      result[y * width + x] = sum;
    }
  }
  return new Uint8Array(result.buffer);
}

interface Contribution {
  /** Position of the first source pixel. */
  readonly first: number;
  /** Of it and those after it; they add up to 1. */
  readonly weights: Float64Array;
}

function contributions(from: number, to: number): readonly Contribution[] {
  const step = from / to;
  const reach = Math.max(1, step);
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(from, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: end - first }, (__, i) =>
      Math.max(0, 1 - Math.abs((first + i + 0.5 - centre) / reach)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}
