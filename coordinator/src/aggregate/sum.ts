import { type FileHandle, open } from "node:fs/promises";
import { blockWords, type SumSource } from "@consilium/shared/aggregate/next-checkpoint.js";
import { readExactly } from "@consilium/shared/checkpoint/reader.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { addMask, addWords, subtractMask } from "@consilium/shared/secagg/mask.js";
import type { PairwiseMask } from "@consilium/shared/secagg/masked-upload.js";

export interface SpooledVector {
  readonly siteId: string;
  readonly path: string;
}

async function openVector({ siteId, path }: SpooledVector, words: number): Promise<FileHandle> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new ConsiliumError("storage", `cannot open the masked vector of site ${siteId}`, { cause });
  });
  const { size } = await file.stat();
  if (size === 4 * words) return file;
  await file.close();
  throw new ConsiliumError("update-invalid", `the masked vector of site ${siteId} has ${size} bytes, not ${4 * words}`);
}

/** The sum of masked vectors modulo 2^32, less the masks that are left in it, read by ranges. */
export class UnmaskedSum implements SumSource {
  readonly #files: readonly FileHandle[];
  readonly #masks: readonly PairwiseMask[];
  /** One is being read while the other is added. */
  readonly #incoming = [new Int32Array(blockWords), new Int32Array(blockWords)] as const;
  readonly #sums = new Int32Array(blockWords);

  private constructor(files: readonly FileHandle[], masks: readonly PairwiseMask[]) {
    this.#files = files;
    this.#masks = masks;
  }

  /** @throws ConsiliumError "storage", or "update-invalid" for a vector of another length */
  static async open(
    vectors: readonly SpooledVector[],
    words: number,
    masks: readonly PairwiseMask[],
  ): Promise<UnmaskedSum> {
    const files: FileHandle[] = [];
    try {
      for (const vector of vectors) files.push(await openVector(vector, words));
      return new UnmaskedSum(files, masks);
    } catch (error) {
      for (const file of files) await file.close();
      throw error;
    }
  }

  /** Words [first, first + count) as signed sums, count at most `blockWords`. Valid until the next call. */
  async range(first: number, count: number): Promise<Int32Array> {
    const sums = this.#sums.subarray(0, count).fill(0);
    let reading = this.#read(0, first, count);
    this.#takeMasksOff(new Uint32Array(sums.buffer, 0, count), first);
    for (let file = 0; file < this.#files.length; file++) {
      const incoming = await reading;
      reading = this.#read(file + 1, first, count);
      addWords(sums, incoming, 0);
    }
    return sums;
  }

  async #read(file: number, first: number, count: number): Promise<Int32Array> {
    const words = this.#incoming[file % 2 === 0 ? 0 : 1].subarray(0, count);
    const handle = this.#files[file];
    if (handle !== undefined) await readExactly(handle, new Uint8Array(words.buffer, 0, words.byteLength), 4 * first);
    return words;
  }

  #takeMasksOff(words: Uint32Array, firstWord: number): void {
    for (const { key, sign } of this.#masks) {
      if (sign === 1) subtractMask(words, { key, firstWord });
      else addMask(words, { key, firstWord });
    }
  }

  async close(): Promise<void> {
    for (const { key } of this.#masks) key.fill(0);
    for (const file of this.#files) await file.close();
  }
}
