import { ConsiliumError } from "@consilium/shared/errors.js";
import { UnreadableImage } from "./source.js";

/** Whether the operating system refused, rather than that the content is no good. */
export function isStorageFailure(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { code, errno } = thrown as NodeJS.ErrnoException;
  if (code === "ERR_INVALID_ARG_VALUE") return true;
  return typeof errno === "number" && typeof code === "string" && !code.startsWith("Z_");
}

/** Also of links that lead in circles, folders, and names that no file can have, such as one with a zero byte. */
const nothingThere: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "EINVAL",
  "ERR_INVALID_ARG_VALUE",
]);

/**
 * What a failed call of the file system says of one image: this file's own fault, or one of the whole place. The cause
 * itself is left out: it quotes the path.
 */
export function storageFailure(id: string, cause: unknown): ConsiliumError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code !== undefined && nothingThere.has(code)) return new UnreadableImage(id, "missing");
  if (code === "EACCES" || code === "EPERM") return new UnreadableImage(id, "no-permission");
  return new ConsiliumError("input-unreadable", `an image cannot be read: the storage failed (${code ?? "unknown"})`, {
    remedy: "check that the image folder is mounted and its disk is healthy",
  });
}
