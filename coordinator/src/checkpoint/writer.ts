import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { encodeHeader } from "@consilium/shared/params/safetensors.js";

/** A checkpoint on disk. `digest` is the SHA-256 of the whole file, hex, and its name. */
export interface StoredCheckpoint {
  readonly digest: string;
  readonly path: string;
  readonly bytes: number;
}

export interface CheckpointHeader {
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Unfinished files begin with this; no reader opens them and the store removes them when it opens. */
export const unfinishedPrefix = ".unfinished-";

export function checkpointName(digest: string): string {
  return `${digest}.safetensors`;
}

let unfinishedCount = 0;

/** Node's own errors carry the reason, such as ENOSPC, in their message. */
function storageError(thrown: unknown, what: string): ConsiliumError {
  if (thrown instanceof ConsiliumError) return thrown;
  return new ConsiliumError("storage", `${what}: ${asConsiliumError(thrown).message}`, {
    cause: thrown,
    remedy: "check free space and permissions of the coordinator's directory",
  });
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Writes a safetensors file of F32 values in the order of its header. Nothing is seen under the final name before
 * `commit` has made it durable.
 */
export class CheckpointWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #hash = createHash("sha256");
  #bytes = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** @throws ConsiliumError "storage" */
  static async begin(directory: string, header: CheckpointHeader): Promise<CheckpointWriter> {
    const path = join(directory, `${unfinishedPrefix}${process.pid}-${Date.now()}-${unfinishedCount++}`);
    let writer: CheckpointWriter | undefined;
    try {
      writer = new CheckpointWriter(await open(path, "wx", 0o600), path);
      await writer.#append(encodeHeader(header.tensors, header.metadata));
      return writer;
    } catch (thrown) {
      await writer?.discard();
      throw storageError(thrown, `cannot begin a checkpoint in ${directory}`);
    }
  }

  /** The next values. @throws ConsiliumError "storage" */
  async write(values: Float32Array): Promise<void> {
    try {
      await this.#append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    } catch (thrown) {
      throw storageError(thrown, "cannot write the checkpoint");
    }
  }

  /** Durable under its digest when this resolves. @throws ConsiliumError "storage" */
  async commit(): Promise<StoredCheckpoint> {
    const digest = this.#hash.digest("hex");
    const path = join(dirname(this.#path), checkpointName(digest));
    try {
      await this.#file.sync();
      await this.#file.close();
      await rename(this.#path, path);
      await syncDirectory(dirname(path));
    } catch (thrown) {
      throw storageError(thrown, `cannot store the checkpoint ${basename(path)}`);
    }
    return { digest, path, bytes: this.#bytes };
  }

  /** Removes what was written. Harmless after `commit`. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#path, { force: true });
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten;
    }
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
  }
}
