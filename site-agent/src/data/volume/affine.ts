import type { Affine, AffineRow, Triple } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

/** Beyond it a slice with square pixels would be a thread; a header that says so is damaged. */
const largestSpacingRatio = 100;

/** Length of each column, in millimetres. */
export function spacingOf(affine: Affine): Triple {
  return mapAxes((axis) => Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]));
}

export function mapAxes<T>(map: (axis: 0 | 1 | 2) => T): readonly [T, T, T] {
  return [map(0), map(1), map(2)];
}

/** @param columns the steps along x, y and z @param origin the centre of the first voxel */
export function affineOf(columns: readonly [Triple, Triple, Triple], origin: Triple): Affine {
  return mapAxes((row): AffineRow => [columns[0][row], columns[1][row], columns[2][row], origin[row]]);
}

/** Turns an affine that counts to the patient's left and back (LPS, as DICOM does) into one to the right and front. */
export function lpsToRas([left, posterior, superior]: Affine): Affine {
  return [negated(left), negated(posterior), superior];
}

export function scaledAffine(affine: Affine, factor: number): Affine {
  return mapAxes((row): AffineRow => scaledRow(affine[row], factor));
}

const scaledRow = ([x, y, z, origin]: AffineRow, factor: number): AffineRow => [
  x * factor,
  y * factor,
  z * factor,
  origin * factor,
];

function negated([x, y, z, origin]: AffineRow): AffineRow {
  return [-x, -y, -z, -origin];
}

/**
 * @returns the spacing of an affine that a lattice can have
 * @throws VolumeFault "damaged" when axes have no length, are no numbers, lie in one plane or differ a hundredfold
 */
export function checkedSpacing(affine: Affine): Triple {
  const spacing = spacingOf(affine);
  const [shortest, longest] = [Math.min(...spacing), Math.max(...spacing)];
  if (!affine.flat().every(Number.isFinite) || !(shortest > 0) || longest > largestSpacingRatio * shortest) {
    throw new VolumeFault("damaged", "its voxels have no usable spacing");
  }
  const share = Math.abs(determinant(affine)) / (spacing[0] * spacing[1] * spacing[2]);
  if (!(share > 1e-3)) throw new VolumeFault("damaged", "its axes lie in one plane");
  return spacing;
}

function determinant([[a, b, c], [d, e, f], [g, h, i]]: Affine): number {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}
