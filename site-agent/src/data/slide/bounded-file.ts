import { type FileHandle, open } from "node:fs/promises";

interface Slice {
  readonly offset: number;
  readonly length: number;
}

/** A directory and its values are small; a count that asks for more is a wrong one. */
const mostBytes = 64 * 1024 ** 2;

/**
 * A file as geotiff reads it. It returns only bytes that exist and refuses slices that no directory needs, so that a
 * forged count cannot take memory.
 */
export class BoundedFile {
  readonly #file: FileHandle;
  readonly fileSize: number;

  private constructor(file: FileHandle, fileSize: number) {
    this.#file = file;
    this.fileSize = fileSize;
  }

  static async open(path: string): Promise<BoundedFile> {
    const file = await open(path);
    try {
      return new BoundedFile(file, (await file.stat()).size);
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  fetch(slices: readonly Slice[]): Promise<ArrayBuffer[]> {
    return Promise.all(slices.map(async (slice) => (await this.fetchSlice(slice)).data));
  }

  async fetchSlice({ offset, length }: Slice): Promise<Slice & { readonly data: ArrayBuffer }> {
    if (!(offset >= 0 && length >= 0 && length <= mostBytes)) throw new RangeError("a value that cannot be");
    const data = new ArrayBuffer(Math.max(0, Math.min(length, this.fileSize - offset)));
    if (data.byteLength > 0) await this.#file.read(new Uint8Array(data), 0, data.byteLength, offset);
    return { offset, length, data };
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
