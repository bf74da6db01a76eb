import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";

/** How the agent puts files on its disk. */

/**
 * Writes beside the path and renames, so that a reader finds the old content or the new one, whole and durable.
 * @param write receives the temporary path and leaves a synced file there
 * @throws ConsiliumError "storage"
 */
export async function replaceFile(path: string, write: (temporaryPath: string) => Promise<void>): Promise<void> {
  const temporaryPath = `${path}.tmp`;
  try {
    await write(temporaryPath);
    await rename(temporaryPath, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporaryPath, { force: true });
    throw storageError(path, cause);
  }
}

/** A text as a whole: readers see the old or the new one, also after a power loss. On the disk when this returns. */
export function writeFileDurably(path: string, text: string, mode = 0o644): void {
  replaceText(path, text, { settle: fsyncSync, mode });
  settleFolder(dirname(path));
}

/** What was made or renamed in a folder is on the disk when this returns. */
export function settleFolder(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** As writeFileDurably, for what may be lost with the power: readers see the old or the new text. */
export function writeFileWhole(path: string, text: string, mode = 0o644): void {
  replaceText(path, text, { settle: () => {}, mode });
}

interface Replacing {
  readonly settle: (file: number) => void;
  readonly mode: number;
}

function replaceText(path: string, text: string, { settle, mode }: Replacing): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w", mode);
  try {
    // Goes on where a write ended early, as one does on a disk that is nearly full.
    writeFileSync(file, text);
    settle(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

export function storageError(path: string, cause: unknown): ConsiliumError {
  if (cause instanceof ConsiliumError) return cause;
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return new ConsiliumError("storage", `${path}: cannot be written (${code})`, {
    remedy: "check the free space and the permissions of the agent's state directory",
    cause,
  });
}
