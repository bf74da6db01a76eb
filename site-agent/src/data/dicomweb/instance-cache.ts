import { createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { threadId } from "node:worker_threads";
import { RequestFailure } from "./archive-failure.js";

export interface CacheOptions {
  readonly folder: string;
  readonly maxBytes: number;
  /** Of one object. */
  readonly maxFileBytes: number;
}

/** What is left when room is made, so that it is not made for every object. */
const lowWater = 0.9;
/** Other threads and processes fill the same folder: count anew every so many objects. */
const recountEvery = 64;
const abandonedMilliseconds = 3_600_000;

/**
 * Objects that were fetched, as files. Several threads may share a folder: files appear whole or not at all, and times
 * of change say when each was last used, also after a restart.
 */
export class InstanceCache {
  readonly #options: CacheOptions;
  #bytes: number | undefined;
  #stored = 0;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  /** @param name of the object: hex digits */
  pathOf(name: string): string {
    return join(this.#options.folder, `${name}.dcm`);
  }

  /** Whether the object is there. Counts as a use of it. */
  async touch(name: string): Promise<boolean> {
    try {
      const { size } = await stat(this.pathOf(name));
      const now = new Date();
      await utimes(this.pathOf(name), now, now);
      // A power failure may leave an empty file behind.
      return size > 0;
    } catch {
      return false;
    }
  }

  /**
   * Takes an object in, and the objects out that were unused for longest when there is no room.
   * @throws RequestFailure "too-large"; what `bytes` throws; errors of the file system
   */
  async store(name: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true });
    const partial = join(this.#options.folder, `${name}.${process.pid}-${threadId}.part`);
    try {
      const length = await this.#write(partial, bytes);
      await this.#makeRoom(length);
      await rename(partial, this.pathOf(name));
      this.#bytes! += length;
    } catch (thrown) {
      await rm(partial, { force: true });
      throw thrown;
    }
  }

  async #write(path: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const { maxFileBytes } = this.#options;
    let length = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes) {
        length += chunk.length;
        if (length > maxFileBytes)
          throw new RequestFailure("too-large", `an object of more than ${maxFileBytes} bytes`);
        yield chunk;
      }
    };
    await pipeline(Readable.from(counted(), { objectMode: false }), createWriteStream(path));
    return length;
  }

  async #makeRoom(needed: number): Promise<void> {
    const isDue = this.#stored++ % recountEvery === 0;
    if (!isDue && this.#bytes! + needed <= this.#options.maxBytes) return;
    const files = await this.#list();
    this.#bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (this.#bytes + needed <= this.#options.maxBytes) return;
    for (const { path, size } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (this.#bytes + needed <= this.#options.maxBytes * lowWater) break;
      await rm(path, { force: true });
      this.#bytes -= size;
    }
  }

  async #list(): Promise<{ path: string; size: number; usedAt: number }[]> {
    const files: { path: string; size: number; usedAt: number }[] = [];
    for (const name of await readdir(this.#options.folder)) {
      const path = join(this.#options.folder, name);
      const found = /^[0-9a-f]+\.(?:dcm|[\d-]+\.part)$/.test(name)
        ? await stat(path).catch(() => undefined)
        : undefined;
      if (found === undefined) continue;
      const isPartial = name.endsWith(".part");
      if (!isPartial) files.push({ path, size: found.size, usedAt: found.mtimeMs });
      else if (Date.now() - found.mtimeMs > abandonedMilliseconds) await rm(path, { force: true });
    }
    return files;
  }
}
