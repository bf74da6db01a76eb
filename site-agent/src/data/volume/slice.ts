import type { RgbImage } from "../image.js";
import { resampleGrey } from "./resample.js";
import type { Triple } from "./volume.js";
import type { GreyVolume } from "./window.js";

/** Of a volume that `toRas` turned; `acquired` is of one as it is stored, across its third axis. */
export type Plane = "axial" | "coronal" | "sagittal" | "acquired";

/** Where a step along a slice's columns, rows and stack leads in the volume; negative: against the axis. */
interface PlaneAxes {
  readonly across: { readonly axis: 0 | 1 | 2; readonly reversed: boolean };
  readonly down: { readonly axis: 0 | 1 | 2; readonly reversed: boolean };
  readonly through: 0 | 1 | 2;
}

/** As radiologists look: the patient's right on the left, the front at the top or on the left, the head at the top. */
const planes: Readonly<Record<Plane, PlaneAxes>> = {
  axial: { across: { axis: 0, reversed: true }, down: { axis: 1, reversed: true }, through: 2 },
  coronal: { across: { axis: 0, reversed: true }, down: { axis: 2, reversed: true }, through: 1 },
  sagittal: { across: { axis: 1, reversed: true }, down: { axis: 2, reversed: true }, through: 0 },
  acquired: { across: { axis: 0, reversed: false }, down: { axis: 1, reversed: false }, through: 2 },
};

/** Slices that a plane has. */
export function sliceCount({ dims }: { readonly dims: Triple }, plane: Plane): number {
  return dims[planes[plane].through];
}

/** Voxels of a slice across and down. */
export function sliceSides(dims: Triple, plane: Plane): { readonly width: number; readonly height: number } {
  const { across, down } = planes[plane];
  return { width: dims[across.axis], height: dims[down.axis] };
}

/** Pixels of a slice once they are square, without the reduction to a working size. */
export function squareSides(
  volume: Pick<GreyVolume, "dims" | "spacing">,
  plane: Plane,
): { width: number; height: number } {
  const { across, down } = planes[plane];
  const { width, height } = sliceSides(volume.dims, plane);
  const [x, y] = [volume.spacing[across.axis], volume.spacing[down.axis]];
  const finest = Math.min(x, y);
  return { width: Math.round((width * x) / finest), height: Math.round((height * y) / finest) };
}

export interface SliceOptions {
  readonly plane: Plane;
  /** Counted from the patient's feet (axial), back (coronal) or left side (sagittal); of `acquired`, as stored. */
  readonly index: number;
  /** Short side of the result in pixels; smaller slices keep their size. Absent: none is reduced. */
  readonly workingSize?: number;
}

/**
 * One slice with square pixels: the coarser direction is interpolated to the finer one's spacing, and the whole reduced
 * to the working size.
 */
export function sliceOf(volume: GreyVolume, { plane, index, workingSize }: SliceOptions): RgbImage {
  const { across, down } = planes[plane];
  const source = { ...sliceSides(volume.dims, plane), data: cut(volume, plane, index) };
  const square = squareSides(volume, plane);
  const scale = Math.min(1, (workingSize ?? Number.POSITIVE_INFINITY) / Math.min(square.width, square.height));
  const width = Math.max(1, Math.round(square.width * scale));
  const height = Math.max(1, Math.round(square.height * scale));
  return {
    width,
    height,
    data: repeated(resampleGrey(source, width, height)),
    spacing: {
      x: (volume.spacing[across.axis] * source.width) / width,
      y: (volume.spacing[down.axis] * source.height) / height,
    },
  };
}

function cut({ data, dims }: GreyVolume, plane: Plane, index: number): Uint8Array {
  const { across, down, through } = planes[plane];
  const { width, height } = sliceSides(dims, plane);
  const strides: Triple = [1, dims[0], dims[0] * dims[1]];
  const right = strides[across.axis] * (across.reversed ? -1 : 1);
  const below = strides[down.axis] * (down.reversed ? -1 : 1);
  const start =
    index * strides[through] + (across.reversed ? (1 - width) * right : 0) + (down.reversed ? (1 - height) * below : 0);
  const slice = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) slice[y * width + x] = data[start + x * right + y * below]!;
  }
  return slice;
}

function repeated(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i]!, 3 * i, 3 * i + 3);
  return rgb;
}

/** Share of each slice's voxels that are brighter than black, in the order of the slices. */
export function foregroundShares({ data, dims }: GreyVolume, plane: Plane): readonly number[] {
  const { through } = planes[plane];
  const strides: Triple = [1, dims[0], dims[0] * dims[1]];
  const counts = new Array<number>(dims[through]).fill(0);
  const [stride, length] = [strides[through], dims[through]];
  for (let i = 0; i < data.length; i++) if (data[i]! > 0) counts[Math.floor(i / stride) % length]!++;
  return counts.map((count) => count / (data.length / length));
}
