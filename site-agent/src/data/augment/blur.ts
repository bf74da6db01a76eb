/** Weights of a Gaussian cut at three standard deviations: [2 × radius + 1], summing to one. */
function gaussianWeights(sigma: number): Float32Array {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, index) =>
    Math.exp(-((index - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Mirrors a position at the edges without repeating them. */
function reflect(position: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const place = ((position % period) + period) % period;
  return place < size ? place : period - place;
}

interface Axis {
  /** Distance in the array between neighbours along the blurred axis, and between lines across it. */
  readonly along: number;
  readonly across: number;
}

function blurAxis(pixels: Float32Array, weights: Float32Array, { along, across }: Axis): Float32Array {
  const size = Math.round(Math.sqrt(pixels.length / 3));
  const radius = (weights.length - 1) / 2;
  const out = new Float32Array(pixels.length);
  for (let position = 0; position < size; position++) {
    for (let tap = 0; tap < weights.length; tap++) {
      const weight = weights[tap]!;
      const from = reflect(position + tap - radius, size) * along;
      const to = position * along;
      for (let line = 0; line < size; line++) {
        const start = line * across;
        out[to + start]! += weight * pixels[from + start]!;
        out[to + start + 1]! += weight * pixels[from + start + 1]!;
        out[to + start + 2]! += weight * pixels[from + start + 2]!;
      }
    }
  }
  return out;
}

/** Gaussian blur of a square image [size, size, 3]; sigma in pixels. Edges are mirrored. */
export function gaussianBlur(pixels: Float32Array, sigma: number): Float32Array {
  const weights = gaussianWeights(sigma);
  const line = Math.round(Math.sqrt(pixels.length / 3)) * 3;
  const rows = blurAxis(pixels, weights, { along: 3, across: line });
  return blurAxis(rows, weights, { along: line, across: 3 });
}
