/** Weights of a Gaussian cut at the radius: [2 × radius + 1], summing to one. */
function gaussianWeights(sigma: number, radius: number): Float64Array {
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, index) =>
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

/** Where each value of a row that is continued by its mirror image at both ends comes from: [size + 2 × radius, 3]. */
function mirroredPlaces(size: number, radius: number): Int32Array {
  return Int32Array.from({ length: 3 * (size + 2 * radius) }, (_, index) => {
    return 3 * reflect(Math.floor(index / 3) - radius, size) + (index % 3);
  });
}

/** Blurs along the rows and exchanges rows and columns, so that both passes read what lies side by side. */
function blurRowsTransposed(pixels: Float32Array, size: number, weights: Float64Array): Float32Array {
  const places = mirroredPlaces(size, (weights.length - 1) / 2);
  const line = new Float64Array(places.length);
  const out = new Float32Array(pixels.length);
  for (let row = 0; row < size; row++) {
    for (let at = 0; at < line.length; at++) line[at] = pixels[3 * size * row + places[at]!]!;
    for (let column = 0; column < size; column++) {
      let from = 3 * column;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let tap = 0; tap < weights.length; tap++) {
        const weight = weights[tap]!;
        red += weight * line[from]!;
        green += weight * line[from + 1]!;
        blue += weight * line[from + 2]!;
        from += 3;
      }
      const to = 3 * (size * column + row);
      out[to] = red;
      out[to + 1] = green;
      out[to + 2] = blue;
    }
  }
  return out;
}

/**
 * Gaussian blur of a square image [size, size, 3]; sigma in pixels. Edges are mirrored.
 * @param radius of the kernel, in pixels; three standard deviations unless given
 */
export function gaussianBlur(
  pixels: Float32Array,
  sigma: number,
  radius = Math.max(1, Math.ceil(3 * sigma)),
): Float32Array {
  const weights = gaussianWeights(sigma, radius);
  const size = Math.round(Math.sqrt(pixels.length / 3));
  return blurRowsTransposed(blurRowsTransposed(pixels, size, weights), size, weights);
}
