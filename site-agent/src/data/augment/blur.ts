import { floatsAt, integersAt, kernels, place } from "./kernels.js";

/** One half of a symmetric kernel, its middle first: [radius + 1]; the whole sums to one. */
function gaussianWeights(sigma: number, radius: number): Float64Array {
  const weights = Float64Array.from({ length: radius + 1 }, (_, distance) => {
    return Math.exp(-(distance ** 2) / (2 * sigma * sigma));
  });
  const total = weights.reduce((sum, weight, distance) => sum + (distance === 0 ? weight : 2 * weight), 0);
  return weights.map((weight) => weight / total);
}

/** Mirrors a position at the edges without repeating them. */
function reflect(position: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const place = ((position % period) + period) % period;
  return place < size ? place : period - place;
}

/** 0, -1, 1, -2, 2, …: the centre, then the pairs around it. */
function offsetOf(index: number): number {
  const distance = (index + 1) >> 1;
  return index % 2 === 1 ? -distance : distance;
}

/** Continues a line of pixels, which begins at `margin` pixels, by its mirror image at both ends. */
function mirrorEnds(line: Float32Array, size: number, margin: number): void {
  for (let pixel = 0; pixel < margin; pixel++) {
    const [left, right] = [reflect(pixel - margin, size), reflect(size + pixel, size)];
    for (let channel = 0; channel < 3; channel++) {
      line[3 * pixel + channel] = line[3 * (margin + left) + channel]!;
      line[3 * (margin + size + pixel) + channel] = line[3 * (margin + right) + channel]!;
    }
  }
}

export interface Blur {
  /** Standard deviation in pixels. */
  readonly sigma: number;
  /** Of the kernel, in pixels, at least 1; absent: three standard deviations. */
  readonly radius?: number | undefined;
}

/**
 * Gaussian blur of a square image [size, size, 3], in place. Edges are mirrored. Each row is summed over the rows around
 * it, continued at both ends, and then summed along itself.
 */
export function gaussianBlur(pixels: Float32Array, blur: Blur): void {
  const { sigma, radius = Math.max(1, Math.ceil(3 * sigma)) } = blur;
  const size = Math.round(Math.sqrt(pixels.length / 3));
  const [values, rowBytes, taps] = [3 * size, 12 * size, 2 * radius + 1];
  const lineValues = 3 * (size + 2 * radius);
  const bytes = 4 * pixels.length;
  const at = place({
    weights: 4 * taps,
    upright: 4 * taps,
    sideways: 4 * taps,
    line: 4 * lineValues,
    source: bytes,
    out: bytes,
  });
  floatsAt(at.weights, radius + 1).set(gaussianWeights(sigma, radius));
  floatsAt(at.source, pixels.length).set(pixels);
  const [upright, sideways] = [integersAt(at.upright, taps), integersAt(at.sideways, taps)];
  const line = floatsAt(at.line, lineValues);
  for (let tap = 0; tap < taps; tap++) sideways[tap] = 12 * (radius + offsetOf(tap));
  for (let row = 0; row < size; row++) {
    for (let tap = 0; tap < taps; tap++) upright[tap] = rowBytes * reflect(row + offsetOf(tap), size);
    kernels.sumPairs(at.source, at.upright, at.weights, radius, at.line + 12 * radius, values);
    mirrorEnds(line, size, radius);
    kernels.sumPairs(at.line, at.sideways, at.weights, radius, at.out + row * rowBytes, values);
  }
  pixels.set(floatsAt(at.out, pixels.length));
}
