import { ConsiliumError } from "../errors.js";
import { encodeHeader } from "../params/safetensors.js";
import { DigestFile, type StoredFile, storageError } from "./digest-file.js";

/** A checkpoint on disk. */
export type StoredCheckpoint = StoredFile;

export interface CheckpointHeader {
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, string>>;
}

export function checkpointName(digest: string): string {
  return `${digest}.safetensors`;
}

/** Writes a safetensors file of F32 values in the order of its header. */
export class CheckpointWriter {
  readonly #file: DigestFile;

  private constructor(file: DigestFile) {
    this.#file = file;
  }

  /** @throws ConsiliumError "storage" */
  static async begin(directory: string, header: CheckpointHeader): Promise<CheckpointWriter> {
    const file = await DigestFile.begin(directory);
    try {
      await file.append(encodeHeader(header.tensors, header.metadata));
      return new CheckpointWriter(file);
    } catch (thrown) {
      await file.discard();
      throw storageError(thrown, `cannot begin a checkpoint in ${directory}`);
    }
  }

  /** The next values. @throws ConsiliumError "storage" */
  write(values: Float32Array): Promise<void> {
    return this.#file.append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** Durable under its digest when this resolves. @throws ConsiliumError "storage" */
  commit(): Promise<StoredCheckpoint> {
    return this.#file.commit(checkpointName);
  }

  /** Removes what was written. Harmless after `commit`. */
  discard(): Promise<void> {
    return this.#file.discard();
  }
}

/**
 * Stores values that are given in parts. The same arguments give the same digest.
 * @throws ConsiliumError "storage", "internal" for another number of values
 */
export async function writeCheckpoint(
  directory: string,
  header: CheckpointHeader & { readonly dimension: number },
  parts: Iterable<Float32Array> | AsyncIterable<Float32Array>,
): Promise<StoredCheckpoint> {
  const writer = await CheckpointWriter.begin(directory, header);
  try {
    let values = 0;
    for await (const part of parts) {
      await writer.write(part);
      values += part.length;
    }
    if (values !== header.dimension) {
      throw new ConsiliumError("internal", `${values} values for a layout of ${header.dimension}`);
    }
    return await writer.commit();
  } finally {
    await writer.discard();
  }
}
