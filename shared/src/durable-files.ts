import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConsiliumError } from "./errors.js";

/** Readable by the owner alone. After it resolves, the file is whole and on disk; a crash leaves the old one. */
export function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  return writeAtomically(path, content, 0o600);
}

export function writePublicFile(path: string, content: string | Uint8Array): Promise<void> {
  return writeAtomically(path, content, 0o644);
}

/**
 * @param missing what to do where there is no such file: whose it is, and so what makes it, is the caller's to know
 * @throws ConsiliumError "config-missing" or "input-unreadable"
 */
export async function readText(
  path: string,
  missing = "Create it with the join or init command, or correct the path in the configuration.",
): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw readFailure(path, { cause, missing });
  }
}

export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}

function readFailure(path: string, { cause, missing }: { cause: unknown; missing: string }): ConsiliumError {
  if (isMissing(cause)) {
    return new ConsiliumError("config-missing", `${path} does not exist.`, {
      remedy: missing,
      cause,
    });
  }
  return new ConsiliumError("input-unreadable", `${path} cannot be read.`, {
    remedy: "Check the file's owner and permissions.",
    cause,
  });
}

async function writeAtomically(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    await rm(temporary, { force: true });
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new ConsiliumError("storage", `${path} cannot be written.`, {
      remedy: "Check that the directory exists, belongs to this user and has space.",
      cause,
    });
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
