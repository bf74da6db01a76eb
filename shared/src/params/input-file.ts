import { type FileHandle, open } from "node:fs/promises";
import { ConsiliumError } from "../errors.js";

/** @throws ConsiliumError "input-unreadable" */
export function openInput(path: string): Promise<FileHandle> {
  return open(path, "r").catch((cause: unknown) => {
    throw new ConsiliumError("input-unreadable", `cannot open ${path}`, {
      cause,
      remedy: "check that the file exists and may be read",
    });
  });
}

/**
 * Fills `buffer` from `position` on.
 * @param tooShort made and thrown when the file ends before
 */
export async function readExactly(
  file: FileHandle,
  { buffer, position }: { readonly buffer: Uint8Array; readonly position: number },
  tooShort: () => ConsiliumError,
): Promise<void> {
  let filled = 0;
  while (filled < buffer.length) {
    // One read is capped well below the 2 GiB that the operating system transfers at most.
    const length = Math.min(buffer.length - filled, 2 ** 28);
    const { bytesRead } = await file.read(buffer, filled, length, position + filled);
    if (bytesRead === 0) throw tooShort();
    filled += bytesRead;
  }
}
