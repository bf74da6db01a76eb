import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";

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
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporaryPath, { force: true });
    throw storageError(path, cause);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function storageError(path: string, cause: unknown): ConsiliumError {
  if (cause instanceof ConsiliumError) return cause;
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return new ConsiliumError("storage", `${path}: cannot be written (${code})`, {
    remedy: "check the free space and the permissions of the agent's state directory",
    cause,
  });
}
