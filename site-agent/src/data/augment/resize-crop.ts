import type { RgbImage } from "../image.js";
import type { CropBox } from "./crop.js";
import { type Orientation, placementOf, upright } from "./flips.js";
import { bytesAt, floatsAt, integersAt, kernels, place } from "./kernels.js";

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
  /** [outputs, stride], each row's first `count` values in use, summing to `total`. */
  readonly weights: Float32Array;
  readonly stride: number;
}

interface Axis {
  /** Pixels that are there, and pixels that are wanted. */
  readonly source: number;
  readonly outputs: number;
  readonly filter: Filter;
  readonly total: number;
}

/** Antialiased like Pillow: when shrinking, the filter widens with the step between samples. */
function tapsFor({ source, outputs, filter, total }: Axis): Taps {
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
    let sum = 0;
    for (let pixel = start; pixel < end; pixel++) {
      const weight = filter.weight((pixel + 0.5 - centre) / spread);
      taps.weights[output * stride + pixel - start] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < end - start; tap++) taps.weights[output * stride + tap]! *= total / sum;
    taps.starts[output] = start;
    taps.counts[output] = end - start;
  }
  return taps;
}

/** Values that the kernels sum at once, and so what a row of bytes is padded to. */
const rowBoundary = 16;

/** The box's rows, each padded to `pitch` bytes. */
function copyBox({ data, width }: RgbImage, box: CropBox, into: Uint8Array, pitch: number): void {
  for (let row = 0; row < box.height; row++) {
    const from = 3 * ((box.top + row) * width + box.left);
    into.set(data.subarray(from, from + 3 * box.width), row * pitch);
  }
}

export interface ResizeCropInput {
  readonly image: RgbImage;
  readonly box: CropBox;
  /** Side of the square result, in pixels. */
  readonly size: number;
  readonly interpolation: Interpolation;
  /** How the result stands; absent: upright. */
  readonly orientation?: Orientation;
  /** Where the result goes: size × size × 3 values; absent: new memory. */
  readonly into?: Float32Array;
}

/**
 * The box of the image as [size, size, 3] in 0 … 1; overshoot of the cubic is cut. Pixels outside the box have no
 * influence. Each output row is summed over the source's rows first, which lie side by side, and then along the line.
 */
export function resizeCrop({ image, box, size, interpolation, ...rest }: ResizeCropInput): Float32Array {
  const { orientation = upright, into = new Float32Array(size * size * 3) } = rest;
  const filter = filters[interpolation];
  const columns = tapsFor({ source: box.width, outputs: size, filter, total: 1 });
  const rows = tapsFor({ source: box.height, outputs: size, filter, total: 1 / 255 });
  const { origin, right, down } = placementOf(orientation, size);
  const pitch = rowBoundary * Math.ceil((3 * box.width) / rowBoundary);
  const at = place({
    starts: columns.starts.byteLength,
    counts: columns.counts.byteLength,
    columns: columns.weights.byteLength,
    rows: rows.weights.byteLength,
    line: 4 * pitch,
    box: box.height * pitch,
    out: into.byteLength,
  });
  integersAt(at.starts, size).set(columns.starts.map((pixel) => 12 * pixel));
  integersAt(at.counts, size).set(columns.counts);
  floatsAt(at.columns, columns.weights.length).set(columns.weights);
  floatsAt(at.rows, rows.weights.length).set(rows.weights);
  copyBox(image, box, bytesAt(at.box, box.height * pitch), pitch);
  for (let row = 0; row < size; row++) {
    const [first, weights] = [at.box + rows.starts[row]! * pitch, at.rows + 4 * row * rows.stride];
    kernels.sumRows(first, pitch, weights, rows.counts[row]!, at.line, pitch);
    const to = at.out + 4 * (origin + row * down);
    kernels.writeLine(at.line, at.starts, at.counts, at.columns, 4 * columns.stride, size, to, 4 * right);
  }
  into.set(floatsAt(at.out, into.length));
  return into;
}
