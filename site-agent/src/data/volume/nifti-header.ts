import { isNIFTI1, isNIFTI2, NIFTI1, NIFTI2 } from "nifti-reader-js";
import { niftiAffine } from "./nifti-affine.js";
import { bytesOf, type SampleLayout, type SampleType } from "./samples.js";
import type { Affine, Interval, Triple } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

export interface NiftiHeader {
  /** Of the first frame; there may be more. */
  readonly dims: Triple;
  readonly affine: Affine;
  readonly layout: SampleLayout;
  /** Where the voxels begin in the unpacked file. */
  readonly offset: number;
  readonly window?: Interval;
  /** Says that values are names of parts: intent NIFTI_INTENT_LABEL. */
  readonly declaredLabels: boolean;
}

/** nifti1.h: NIFTI_TYPE_… */
const sampleTypes: ReadonlyMap<number, SampleType> = new Map([
  [NIFTI1.TYPE_UINT8, "uint8"],
  [NIFTI1.TYPE_INT16, "int16"],
  [NIFTI1.TYPE_INT32, "int32"],
  [NIFTI1.TYPE_FLOAT32, "float32"],
  [NIFTI1.TYPE_FLOAT64, "float64"],
  [NIFTI1.TYPE_INT8, "int8"],
  [NIFTI1.TYPE_UINT16, "uint16"],
  [NIFTI1.TYPE_UINT32, "uint32"],
  [NIFTI1.TYPE_INT64, "int64"],
  [NIFTI1.TYPE_UINT64, "uint64"],
]);

const labelIntent = 1002;

/** Extensions, such as copies of DICOM headers, lie before the voxels; more of them is no header. */
const largestOffset = 1 << 24;

/** Bytes that `parseNiftiHeader` wants: NIfTI-2 has the longer header. */
export const niftiHeaderBytes = 540;

/**
 * NIfTI-1.1 and NIfTI-2, single file, either byte order.
 * @param start the file's first bytes, unpacked: `niftiHeaderBytes` of them, or fewer where the file ends
 * @throws VolumeFault "unsupported-format", "unsupported-pixels", "damaged"
 */
export function parseNiftiHeader(start: Uint8Array): NiftiHeader {
  const header = fieldsOf(start);
  const type = sampleTypes.get(header.datatypeCode);
  if (type === undefined) throw new VolumeFault("unsupported-pixels", `voxels of NIfTI type ${header.datatypeCode}`);
  if (header.numBitsPerVoxel !== 8 * bytesOf(type)) {
    throw new VolumeFault("damaged", `${header.numBitsPerVoxel} bits for a voxel of type ${type}`);
  }
  const { cal_min: low, cal_max: high } = header;
  return {
    dims: dimsOf(header),
    affine: niftiAffine(header, start),
    layout: { type, littleEndian: header.littleEndian, ...scalingOf(header) },
    offset: offsetOf(header),
    declaredLabels: header.intent_code === labelIntent,
    ...(Number.isFinite(low) && Number.isFinite(high) && low < high ? { window: [low, high] } : {}),
  };
}

/** The library is shown nothing behind the header: a chain of extensions can lead it in circles. */
function fieldsOf(start: Uint8Array): NIFTI1 | NIFTI2 {
  const [first, second] = [NIFTI1, NIFTI2].map((kind) => Uint8Array.from(start.subarray(0, kind.MAGIC_COOKIE)).buffer);
  try {
    const header = isNIFTI1(first!) ? new NIFTI1() : isNIFTI2(second!) ? new NIFTI2() : undefined;
    if (header !== undefined) {
      header.readHeader(header instanceof NIFTI1 ? first! : second!);
      return header;
    }
  } catch (cause) {
    throw new VolumeFault("damaged", "its header cannot be read", cause);
  }
  throw new VolumeFault("unsupported-format", "no NIfTI file, or one whose header lies in a file of its own");
}

/** Sides that the file does not have are 1: a plane is a volume of one slice. */
function dimsOf({ dims }: NIFTI1 | NIFTI2): Triple {
  const count = dims[0]!;
  if (!(count >= 1 && count <= 7)) throw new VolumeFault("damaged", `${count} dimensions`);
  const side = (axis: number): number => (axis <= count ? dims[axis]! : 1);
  for (let axis = 4; axis <= count; axis++) {
    if (!(dims[axis]! > 0)) throw new VolumeFault("damaged", "a dimension has no length");
  }
  return [side(1), side(2), side(3)];
}

/** A slope of zero, or none, says that values are as stored (nifti1.h, "DATA SCALING"). */
function scalingOf({ scl_slope: slope, scl_inter: intercept }: NIFTI1 | NIFTI2): {
  slope: number;
  intercept: number;
} {
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, intercept: 0 };
  if (!Number.isFinite(intercept)) throw new VolumeFault("damaged", "its values have no zero point");
  return { slope, intercept };
}

function offsetOf(header: NIFTI1 | NIFTI2): number {
  const least = (header instanceof NIFTI1 ? NIFTI1.MAGIC_COOKIE : NIFTI2.MAGIC_COOKIE) + 4;
  const offset = Math.max(least, Math.floor(header.vox_offset));
  if (!(offset <= largestOffset)) throw new VolumeFault("damaged", "its voxels begin nowhere");
  return offset;
}
