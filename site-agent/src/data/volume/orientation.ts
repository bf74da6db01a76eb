import { mapAxes } from "./affine.js";
import type { Affine, AffineRow, Lattice, Triple } from "./volume.js";

type Axis = 0 | 1 | 2;

/** For each axis of space (right, anterior, superior): the stored axis that runs along it, and whether against it. */
export type Orientation = readonly [Course, Course, Course];

interface Course {
  readonly axis: Axis;
  readonly reversed: boolean;
}

const axes: readonly Axis[] = [0, 1, 2];

/** The orientation nearest to the stored axes; the clearest axis is settled first, as nibabel's io_orientation does. */
export function orientationOf(affine: Affine, spacing: Triple): Orientation {
  const share = (row: Axis, axis: Axis): number => affine[row][axis] / spacing[axis];
  const clearness = (axis: Axis): number => Math.max(...axes.map((row) => Math.abs(share(row, axis))));
  const free = new Set<Axis>(axes);
  const courses = new Map<Axis, Course>();
  for (const axis of axes.toSorted((a, b) => clearness(b) - clearness(a))) {
    const row = [...free].reduce((best, other) =>
      Math.abs(share(other, axis)) > Math.abs(share(best, axis)) ? other : best,
    );
    free.delete(row);
    courses.set(row, { axis, reversed: share(row, axis) < 0 });
  }
  return mapAxes((row) => courses.get(row)!);
}

/**
 * Turns a lattice by swapping and reversing axes until x runs nearest to the patient's right, y to the front and z to
 * the head (RAS+), as nibabel.as_closest_canonical does. No value is changed; oblique lattices stay oblique.
 */
export function toRas<T extends Float32Array | Uint8Array, L extends Lattice<T>>(lattice: L): L {
  const orientation = orientationOf(lattice.affine, lattice.spacing);
  if (orientation.every(({ axis, reversed }, row) => axis === row && !reversed)) return lattice;
  const { dims, spacing } = lattice;
  return {
    ...lattice,
    data: turnedData(lattice, orientation),
    dims: mapAxes((row) => dims[orientation[row].axis]),
    spacing: mapAxes((row) => spacing[orientation[row].axis]),
    affine: turnedAffine(lattice, orientation),
  };
}

function turnedData<T extends Float32Array | Uint8Array>({ data, dims }: Lattice<T>, orientation: Orientation): T {
  const strides: Triple = [1, dims[0], dims[0] * dims[1]];
  const step = mapAxes((row) => strides[orientation[row].axis] * (orientation[row].reversed ? -1 : 1));
  const start = mapAxes((row) => (orientation[row].reversed ? (dims[orientation[row].axis] - 1) * -step[row] : 0));
  const [width, height, depth] = mapAxes((row) => dims[orientation[row].axis]);
  const turned = new (data.constructor as new (length: number) => T)(data.length);
  let at = 0;
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      let from = start[0] + start[1] + start[2] + z * step[2] + y * step[1];
      for (let x = 0; x < width; x++, from += step[0]) turned[at++] = data[from]!;
    }
  }
  return turned;
}

function turnedAffine({ affine, dims }: Lattice<Float32Array | Uint8Array>, orientation: Orientation): Affine {
  return mapAxes((row): AffineRow => {
    const stored = affine[row];
    const step = mapAxes((axis) => stored[orientation[axis].axis] * (orientation[axis].reversed ? -1 : 1));
    const shifts = orientation.map(({ axis, reversed }) => (reversed ? stored[axis] * (dims[axis] - 1) : 0));
    return [...step, stored[3] + shifts.reduce((sum, shift) => sum + shift, 0)];
  });
}
