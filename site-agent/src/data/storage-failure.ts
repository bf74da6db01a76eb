import { ConsiliumError } from "@consilium/shared/errors.js";
import { UnreadableImage } from "./source.js";

/** Whether the operating system refused, rather than that the content is no good. */
export function isStorageFailure(thrown: unknown): boolean {
  const { code, errno } = thrown as NodeJS.ErrnoException;
  return thrown instanceof Error && typeof errno === "number" && typeof code === "string" && !code.startsWith("Z_");
}

/** What a failed call of the file system says of one image: this file's own fault, or one of the whole place. */
export function storageFailure(id: string, cause: unknown): ConsiliumError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR") return new UnreadableImage(id, "missing", { cause });
  if (code === "EACCES" || code === "EPERM") return new UnreadableImage(id, "no-permission", { cause });
  return new ConsiliumError("input-unreadable", `an image cannot be read: the storage failed (${code ?? "unknown"})`, {
    remedy: "check that the image folder is mounted and its disk is healthy",
    cause,
  });
}
