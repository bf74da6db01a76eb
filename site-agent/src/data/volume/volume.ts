/** Values along the axes x, y and z of the stored array. */
export type Triple = readonly [number, number, number];

export type AffineRow = readonly [number, number, number, number];

/** Voxel index (x, y, z, 1) → millimetres to the patient's right, front and head: the upper three rows of the matrix. */
export type Affine = readonly [AffineRow, AffineRow, AffineRow];

/** Lower and upper end, in a volume's values. */
export type Interval = readonly [number, number];

/** Voxels on a regular lattice in a patient. */
export interface Lattice<T extends Float32Array | Uint8Array> {
  /** x runs fastest, then y, then z. */
  readonly data: T;
  readonly dims: Triple;
  /** Between voxel centres along each axis, in millimetres. */
  readonly spacing: Triple;
  readonly affine: Affine;
}

/** A volume with its true values, such as Hounsfield units; float32, so integers beyond 2^24 are rounded. */
export interface Volume extends Lattice<Float32Array> {
  /** What the file says should be shown. */
  readonly window?: Interval;
  /** DICOM's code, where the file says: CT, MR. */
  readonly modality?: string;
  readonly format: "nifti" | "nrrd" | "dicom-series";
  /** The file says that its values are names of parts, not measurements. */
  readonly declaredLabels?: boolean;
  /** Its values are stored as integers, without a factor. */
  readonly integers: boolean;
}
