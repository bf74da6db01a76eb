import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { UnreadableImage } from "../source.js";
import { isStorageFailure, storageFailure } from "../storage-failure.js";
import { readNifti } from "./nifti.js";
import { readNrrd } from "./nrrd.js";
import type { Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";
import type { VolumeLimits } from "./volume-limits.js";

const niftiName = /\.nii(?:\.gz)?$/i;
const nrrdName = /\.n(?:rrd|hdr)$/i;

export function hasVolumeName(name: string): boolean {
  return niftiName.test(name) || nrrdName.test(name);
}

export interface ReadVolumeOptions {
  /** What an error calls it; absent: the file's name. */
  readonly id?: string;
  readonly limits: VolumeLimits;
}

/**
 * A volume in one file, or an NRRD header with one file of voxels beside it: .nii, .nii.gz, .nrrd, .nhdr.
 * @throws UnreadableImage for this file; ConsiliumError "input-unreadable" when the storage fails
 */
export async function readVolume(path: string, { id = basename(path), limits }: ReadVolumeOptions): Promise<Volume> {
  return unreadableAs(id, async () => {
    const found = await stat(path);
    // A pipe could keep the reader waiting for ever.
    if (!found.isFile()) throw new VolumeFault("missing", "no file");
    const { size } = found;
    if (size === 0) throw new VolumeFault("empty", "no bytes");
    if (size > limits.maxFileBytes) {
      throw new VolumeFault("file-too-large", `${size} of at most ${limits.maxFileBytes} bytes`);
    }
    if (niftiName.test(path)) return readNifti(path, limits);
    if (nrrdName.test(path)) return readNrrd(path, limits);
    throw new VolumeFault("unsupported-format", "neither NIfTI nor NRRD by its name");
  });
}

/** Says of one image, by its id, what went wrong while it was read. */
export async function unreadableAs<T>(id: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) throw thrown;
    if (thrown instanceof VolumeFault) {
      throw new UnreadableImage(id, thrown.reason, { detail: thrown.message, cause: thrown });
    }
    if (isStorageFailure(thrown)) throw storageFailure(id, thrown);
    throw packingFault(id, thrown);
  }
}

/** zlib's errors; anything else is a fault of this program and passes through. */
function packingFault(id: string, thrown: unknown): unknown {
  const { code } = thrown as NodeJS.ErrnoException;
  if (!(thrown instanceof Error) || code?.startsWith("Z_") !== true) return thrown;
  const reason = code === "Z_BUF_ERROR" ? "truncated" : "damaged";
  return new UnreadableImage(id, reason, { detail: "its compressed voxels cannot be unpacked", cause: thrown });
}
