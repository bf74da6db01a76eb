import type { Triple } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

export interface VolumeLimits {
  /** Voxels of one volume. */
  readonly maxPixels: number;
  /** Of a file, and of the voxels as they are stored once unpacked. */
  readonly maxFileBytes: number;
}

/**
 * @returns the number of voxels
 * @throws VolumeFault "damaged" for sides that are no positive integers, "too-many-pixels", "file-too-large"
 */
export function checkedVoxels(dims: Triple, bytesPerVoxel: number, limits: VolumeLimits): number {
  if (!dims.every((side) => Number.isInteger(side) && side > 0)) {
    throw new VolumeFault("damaged", "a side has no length");
  }
  const count = dims[0] * dims[1] * dims[2];
  if (count > limits.maxPixels) {
    throw new VolumeFault("too-many-pixels", `${dims.join("×")} voxels, at most ${limits.maxPixels}`);
  }
  if (count * bytesPerVoxel > limits.maxFileBytes) {
    throw new VolumeFault("file-too-large", `${count * bytesPerVoxel} bytes of voxels, at most ${limits.maxFileBytes}`);
  }
  return count;
}
