import { type FileHandle, open } from "node:fs/promises";
import { DigestFile, type StoredFile } from "../checkpoint/digest-file.js";
import { readExactly } from "../checkpoint/reader.js";
import { ConsiliumError } from "../errors.js";
import { blockWords, type SumSource } from "./next-checkpoint.js";

/** A round's sum on disk: little-endian 32-bit words, parameters and then lanes. No mask is left in it. */

export function aggregateName(digest: string): string {
  return `${digest}.sum`;
}

const bytesOf = (words: Int32Array) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

export class AggregateWriter {
  readonly #file: DigestFile;

  private constructor(file: DigestFile) {
    this.#file = file;
  }

  /** @throws ConsiliumError "storage" */
  static async begin(directory: string): Promise<AggregateWriter> {
    return new AggregateWriter(await DigestFile.begin(directory));
  }

  /** The next words. @throws ConsiliumError "storage" */
  write(words: Int32Array): Promise<void> {
    return this.#file.append(bytesOf(words));
  }

  /** Durable under its digest when this resolves. @throws ConsiliumError "storage" */
  commit(): Promise<StoredFile> {
    return this.#file.commit(aggregateName);
  }

  /** Removes what was written. Harmless after `commit`. */
  discard(): Promise<void> {
    return this.#file.discard();
  }
}

/** Reads a stored sum by ranges of at most `blockWords`. */
export class AggregateReader implements SumSource {
  readonly #file: FileHandle;
  readonly #words = new Int32Array(blockWords);

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @throws ConsiliumError "not-found" */
  static async open(path: string): Promise<AggregateReader> {
    const file = await open(path, "r").catch((cause: unknown) => {
      throw new ConsiliumError("not-found", `cannot open the aggregate ${path}`, { cause });
    });
    return new AggregateReader(file);
  }

  /** @throws ConsiliumError "input-unreadable" when the file ends before */
  async range(first: number, count: number): Promise<Int32Array> {
    const words = this.#words.subarray(0, count);
    await readExactly(this.#file, bytesOf(words), 4 * first);
    return words;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
