import type { FileHandle } from "node:fs/promises";
import { DicomProblem } from "./problem.js";

/** Bytes that are read where they are needed, so that one frame of a large file costs one frame. */
export interface ByteSource {
  readonly size: number;
  /** @throws DicomProblem "truncated" when the range goes beyond the end */
  read(offset: number, length: number): Promise<Uint8Array>;
}

function requireRange(size: number, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size)
    throw new DicomProblem("truncated", "ends before its data do");
}

export function memoryBytes(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    async read(offset, length) {
      requireRange(bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** @param size of the file in bytes, when it was opened */
export function fileBytes(file: FileHandle, size: number): ByteSource {
  return {
    size,
    async read(offset, length) {
      requireRange(size, offset, length);
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw new DicomProblem("truncated", "ends before its data do");
        filled += bytesRead;
      }
      return bytes;
    },
  };
}
