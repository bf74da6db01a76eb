import type { Interval, Lattice, Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

/** Enough values for percentiles that differ by less than a level of grey. */
const sampleSize = 1 << 20;

/**
 * What is shown: the settings' window, else the file's, else the 1st to 99th percentile of the volume, else all.
 * @throws VolumeFault "no-tissue" when all values are the same or none is a number
 */
export function windowOf(volume: Volume, chosen: Interval | undefined): Interval {
  const window = chosen ?? volume.window ?? contrast(volume);
  if (!(window[0] < window[1])) throw new VolumeFault("no-tissue", "all its voxels have the same value");
  return window;
}

/** Of a volume that is nearly empty, the whole range. */
function contrast(volume: Volume): Interval {
  const usual = percentiles(volume, 0.01, 0.99);
  return usual[0] < usual[1] ? usual : extremes(volume.data);
}

function extremes(data: Float32Array): Interval {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * Linear between the nearest values, as numpy.percentile; of large volumes, from every so many voxels. Voxels that are no
 * finite numbers do not count.
 */
export function percentiles({ data, dims }: Volume, low: number, high: number): Interval {
  const stride = strideFor(data.length, dims[0]);
  const values = new Float32Array(Math.ceil(data.length / stride));
  let count = 0;
  for (let i = 0; i < data.length; i += stride) {
    const value = data[i]!;
    if (Number.isFinite(value)) values[count++] = value;
  }
  const sorted = values.subarray(0, count).sort();
  return [quantile(sorted, low), quantile(sorted, high)];
}

/** No common factor with the width, so that every column takes part. */
function strideFor(length: number, width: number): number {
  let stride = Math.ceil(length / sampleSize);
  while (commonFactor(stride, width) > 1) stride++;
  return stride;
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b);
}

function quantile(sorted: Float32Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1);
}

/** Voxels in 256 levels from black at the window's lower end to white at its upper end. */
export type GreyVolume = Lattice<Uint8Array>;

/** What is no number becomes black. */
export function windowed({ data, dims, spacing, affine }: Volume, [low, high]: Interval): GreyVolume {
  const grey = new Uint8ClampedArray(data.length);
  const factor = 255 / (high - low);
  // The array clamps, and rounds to the nearest, ties to even.
  for (let i = 0; i < data.length; i++) grey[i] = (data[i]! - low) * factor;
  return { data: new Uint8Array(grey.buffer), dims, spacing, affine };
}
