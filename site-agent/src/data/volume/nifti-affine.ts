import { NIFTI1, type NIFTI2 } from "nifti-reader-js";
import { affineOf, mapAxes, scaledAffine } from "./affine.js";
import type { Affine, AffineRow, Triple } from "./volume.js";

/** Millimetres in NIfTI's units of space; files that name none mean millimetres. */
const millimetres: Readonly<Record<number, number>> = {
  [NIFTI1.UNITS_METER]: 1000,
  [NIFTI1.UNITS_MM]: 1,
  [NIFTI1.UNITS_MICRON]: 0.001,
};

/**
 * The sform where the file has one, else the qform, else the spacing alone (nifti1.h, methods 3, 2 and 0). The library
 * prefers whichever code is larger, against what other readers do.
 */
export function niftiAffine(header: NIFTI1 | NIFTI2, start: Uint8Array): Affine {
  const unit = millimetres[header.xyzt_units & NIFTI1.SPATIAL_UNITS_MASK] ?? 1;
  return scaledAffine(storedAffine(header, start), unit);
}

function storedAffine(header: NIFTI1 | NIFTI2, start: Uint8Array): Affine {
  if (header.sform_code > 0) return sform(header, start);
  if (header.qform_code > 0) return qform(header);
  const [x, y, z] = spacings(header);
  return affineOf(
    [
      [x, 0, 0],
      [0, y, 0],
      [0, 0, z],
    ],
    [0, 0, 0],
  );
}

/** The fields srow_x, srow_y and srow_z, which the library does not hand on where it prefers the qform. */
function sform(header: NIFTI1 | NIFTI2, start: Uint8Array): Affine {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const value =
    header instanceof NIFTI1
      ? (index: number) => view.getFloat32(280 + 4 * index, header.littleEndian)
      : (index: number) => view.getFloat64(400 + 8 * index, header.littleEndian);
  return mapAxes((row): AffineRow => [value(4 * row), value(4 * row + 1), value(4 * row + 2), value(4 * row + 3)]);
}

/** A rotation as a unit quaternion, whose first part is not stored, and a mirrored z axis where qfac is negative. */
function qform(header: NIFTI1 | NIFTI2): Affine {
  const [a, b, c, d] = unitQuaternion(header.quatern_b, header.quatern_c, header.quatern_d);
  const [x, y, z] = spacings(header);
  const mirrored = header.pixDims[0]! < 0 ? -z : z;
  const column = (factor: number, ...parts: Triple): Triple => mapAxes((row) => factor * parts[row]);
  return affineOf(
    [
      column(x, a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)),
      column(y, 2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)),
      column(mirrored, 2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - b * b - c * c),
    ],
    [header.qoffset_x, header.qoffset_y, header.qoffset_z],
  );
}

/** The first part follows from the length of one; rounding may leave the others a little too long. */
function unitQuaternion(b: number, c: number, d: number): readonly [number, number, number, number] {
  const left = 1 - (b * b + c * c + d * d);
  if (left > 1e-7) return [Math.sqrt(left), b, c, d];
  const length = Math.hypot(b, c, d);
  return [0, b / length, c / length, d / length];
}

/** Lengths are positive (nifti1.h); an axis that the file does not have may be stored as zero. */
function spacings({ dims, pixDims }: NIFTI1 | NIFTI2): Triple {
  return mapAxes((axis) => (axis + 1 > dims[0]! && !(pixDims[axis + 1]! > 0) ? 1 : Math.abs(pixDims[axis + 1]!)));
}
