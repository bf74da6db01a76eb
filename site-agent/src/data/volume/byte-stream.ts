import { createReadStream } from "node:fs";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { VolumeFault } from "./volume-fault.js";

/** No stream of deflate says more: 258 bytes from two bits (RFC 1951). */
const largestDeflateRatio = 1032;

/** So many bytes after the last wanted one are still unpacked, so that gzip's checksum at the end is compared. */
const trailerBytes = 1 << 20;

/**
 * Bytes of a file, unpacked as they are asked for, so that what a file could unpack to is never held.
 * Its errors of zlib have codes that begin with Z_.
 */
export class ByteStream {
  readonly #source: Readable;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(source: Readable) {
    this.#source = source;
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** @param start where in the file to begin, before it is unpacked */
  static open(path: string, { gzip, start = 0 }: { readonly gzip: boolean; readonly start?: number }): ByteStream {
    const file = createReadStream(path, { start, highWaterMark: 1 << 18 });
    // Errors come out of the iteration; the callback only keeps them from being thrown a second time.
    return new ByteStream(gzip ? pipeline(file, createGunzip({ chunkSize: 1 << 18 }), () => {}) : file);
  }

  /** Fewer than `count` bytes only where the file ends. */
  async upTo(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let length = 0;
    while (length < count) {
      const chunk = await this.next();
      if (chunk === undefined) break;
      const part = chunk.subarray(0, count - length);
      this.#rest = chunk.subarray(part.length);
      length += part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  /** @throws VolumeFault "truncated" */
  async skip(count: number): Promise<void> {
    for await (const _ of this.through(count));
  }

  /**
   * The next `count` bytes in pieces.
   * @throws VolumeFault "truncated" when there are fewer
   */
  async *through(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      const chunk = await this.next();
      if (chunk === undefined) throw new VolumeFault("truncated", `its data end ${left} bytes too early`);
      this.#rest = chunk.subarray(left);
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
    }
  }

  /** @returns the next piece, undefined at the end */
  async next(): Promise<Buffer | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const { value, done } = await this.#chunks.next();
    return done === true ? undefined : value;
  }

  /** Reads to the end, if it is near, so that a checksum there is compared. */
  async verifyEnd(): Promise<void> {
    for (let left = trailerBytes; left > 0; ) {
      const chunk = await this.next();
      if (chunk === undefined) return;
      left -= chunk.length;
    }
  }

  close(): void {
    this.#source.destroy();
  }
}

/**
 * Refuses before anything is allocated what cannot be there.
 * @throws VolumeFault "truncated"
 */
export function requireBytes(needed: number, stored: number, gzip: boolean): void {
  const most = gzip ? stored * largestDeflateRatio : stored;
  if (most < needed) throw new VolumeFault("truncated", `${needed} bytes of voxels cannot be in ${stored} bytes`);
}
