import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../durable-files.js";
import { asConsiliumError, ConsiliumError } from "../errors.js";

/** A file on disk. `digest` is the SHA-256 of the whole file, hex, and part of its name. */
export interface StoredFile {
  readonly digest: string;
  readonly path: string;
  readonly bytes: number;
}

/** Unfinished files begin with this; no reader opens them and who owns the directory removes them when it opens. */
export const unfinishedPrefix = ".unfinished-";

let unfinishedCount = 0;

/** Node's own errors carry the reason, such as ENOSPC, in their message. */
export function storageError(thrown: unknown, what: string): ConsiliumError {
  if (thrown instanceof ConsiliumError) return thrown;
  return new ConsiliumError("storage", `${what}: ${asConsiliumError(thrown).message}`, {
    cause: thrown,
    remedy: "check free space and permissions of the directory",
  });
}

/** Writes a file that gets its name from its content. Nothing is seen under that name before `commit` has made it durable. */
export class DigestFile {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #hash = createHash("sha256");
  #bytes = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** @throws ConsiliumError "storage" */
  static async begin(directory: string): Promise<DigestFile> {
    const path = join(directory, `${unfinishedPrefix}${process.pid}-${Date.now()}-${unfinishedCount++}`);
    try {
      return new DigestFile(await open(path, "wx", 0o600), path);
    } catch (thrown) {
      throw storageError(thrown, `cannot begin a file in ${directory}`);
    }
  }

  /** @throws ConsiliumError "storage" */
  async append(bytes: Uint8Array): Promise<void> {
    const writing = this.#write(bytes);
    // The disk and the hash work at the same time.
    this.#hash.update(bytes);
    await writing;
    this.#bytes += bytes.length;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten;
      }
    } catch (thrown) {
      throw storageError(thrown, `cannot write a file in ${dirname(this.#path)}`);
    }
  }

  /** Durable under the name that its digest gives it when this resolves. @throws ConsiliumError "storage" */
  async commit(nameOf: (digest: string) => string): Promise<StoredFile> {
    const digest = this.#hash.digest("hex");
    const path = join(dirname(this.#path), nameOf(digest));
    try {
      await this.#file.sync();
      await this.#file.close();
      await rename(this.#path, path);
      await syncDirectory(dirname(path));
    } catch (thrown) {
      throw storageError(thrown, `cannot store ${basename(path)}`);
    }
    return { digest, path, bytes: this.#bytes };
  }

  /** Removes what was written. Harmless after `commit`. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#path, { force: true });
  }
}
