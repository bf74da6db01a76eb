import type { RgbImage } from "../image.js";
import type { CropBox } from "./crop.js";

export type Interpolation = "bicubic" | "bilinear";

/** A filter and how far it reaches, in source pixels when enlarging. */
interface Filter {
  readonly support: number;
  weight(distance: number): number;
}

/** Keys 1981 with a = -0.5, as Pillow has it. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

const filters: Readonly<Record<Interpolation, Filter>> = {
  bicubic: { support: 2, weight: cubic },
  bilinear: { support: 1, weight: (distance) => Math.max(0, 1 - Math.abs(distance)) },
};

/** Which source pixels make up each output pixel of one axis. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** [outputs, stride], each row's first `count` values in use, summing to one. */
  readonly weights: Float32Array;
  readonly stride: number;
}

/** Antialiased like Pillow: when shrinking, the filter widens with the step between samples. */
function tapsFor(source: number, outputs: number, filter: Filter): Taps {
  const step = source / outputs;
  const spread = Math.max(1, step);
  const support = filter.support * spread;
  const stride = Math.ceil(support) * 2 + 1;
  const taps = {
    starts: new Int32Array(outputs),
    counts: new Int32Array(outputs),
    weights: new Float32Array(outputs * stride),
    stride,
  };
  for (let output = 0; output < outputs; output++) {
    const centre = (output + 0.5) * step;
    const start = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(source, Math.floor(centre + support + 0.5));
    let total = 0;
    for (let pixel = start; pixel < end; pixel++) {
      const weight = filter.weight((pixel + 0.5 - centre) / spread);
      taps.weights[output * stride + pixel - start] = weight;
      total += weight;
    }
    for (let tap = 0; tap < end - start; tap++) taps.weights[output * stride + tap]! /= total;
    taps.starts[output] = start;
    taps.counts[output] = end - start;
  }
  return taps;
}

/** Bytes of the box → [box.height, size, 3], still 0 … 255. */
function resizeRows(image: RgbImage, box: CropBox, { starts, counts, weights, stride }: Taps): Float32Array {
  const size = starts.length;
  const { data } = image;
  const out = new Float32Array(box.height * size * 3);
  let to = 0;
  for (let row = 0; row < box.height; row++) {
    const rowStart = ((box.top + row) * image.width + box.left) * 3;
    for (let column = 0; column < size; column++) {
      let from = rowStart + starts[column]! * 3;
      const first = column * stride;
      const last = first + counts[column]!;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let tap = first; tap < last; tap++) {
        const weight = weights[tap]!;
        red += weight * data[from]!;
        green += weight * data[from + 1]!;
        blue += weight * data[from + 2]!;
        from += 3;
      }
      out[to] = red;
      out[to + 1] = green;
      out[to + 2] = blue;
      to += 3;
    }
  }
  return out;
}

/** [rows, size, 3] in 0 … 255 → [size, size, 3] in 0 … 1; overshoot of the cubic is cut. */
function resizeColumns(rows: Float32Array, { starts, counts, weights, stride }: Taps): Float32Array {
  const size = starts.length;
  const line = size * 3;
  const out = new Float32Array(size * line);
  for (let row = 0; row < size; row++) {
    const target = row * line;
    for (let tap = 0; tap < counts[row]!; tap++) {
      const weight = weights[row * stride + tap]! / 255;
      const from = (starts[row]! + tap) * line;
      for (let value = 0; value < line; value++) out[target + value]! += weight * rows[from + value]!;
    }
  }
  for (let index = 0; index < out.length; index++) {
    const value = out[index]!;
    if (value < 0) out[index] = 0;
    else if (value > 1) out[index] = 1;
  }
  return out;
}

export interface ResizeCropInput {
  readonly image: RgbImage;
  readonly box: CropBox;
  /** Side of the square result, in pixels. */
  readonly size: number;
  readonly interpolation: Interpolation;
}

/** The box of the image as [size, size, 3] in 0 … 1. Pixels outside the box have no influence. */
export function resizeCrop({ image, box, size, interpolation }: ResizeCropInput): Float32Array {
  const filter = filters[interpolation];
  const rows = resizeRows(image, box, tapsFor(box.width, size, filter));
  return resizeColumns(rows, tapsFor(box.height, size, filter));
}
