import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RgbImage } from "./image.js";
import type { ImageSource, SourceItem } from "./source.js";
import { decodeEntry, encodeEntry } from "./tile-cache-entry.js";

export interface TileCacheOptions {
  /** Made when it is missing, for this user only: it holds pictures of patients. */
  readonly directory: string;
  /**
   * Bytes on disk. Several threads and processes may share the directory: each looks at what the others wrote after it
   * has written a 64th of this, so that four of them keep the bound and each further one may exceed it by 1.6 %.
   */
  readonly limitBytes: number;
}

export interface CachedSourceOptions extends TileCacheOptions {
  /** All that decides an item's pixels beside its file, such as settings; undefined: the item is not kept. */
  readonly kindOf: (item: SourceItem) => string | undefined;
}

/** A source whose decoded images stay on disk. What the cache cannot keep or read is read from the source. */
export function cachedSource(source: ImageSource, { kindOf, ...options }: CachedSourceOptions): ImageSource {
  const cache = new TileCache(options);
  return {
    files: (signal) => source.files(signal),
    items: (file) => source.items(file),
    async read(item) {
      const kind = kindOf(item);
      if (kind === undefined) return source.read(item);
      const key = tileKey(item, kind);
      const kept = await cache.get(key);
      if (kept !== undefined) return kept;
      const image = await source.read(item);
      await cache.put(key, image);
      return image;
    },
    close: () => source.close(),
  };
}

/** Hexadecimal; says nothing about the item. */
export function tileKey({ id, stamp }: Pick<SourceItem, "id" | "stamp">, kind: string): string {
  return createHash("sha256")
    .update(JSON.stringify([id, stamp, kind]))
    .digest("hex");
}

/** Above the first share of the limit, the cache is emptied to the second. */
const shares = { full: 15 / 16, emptied: 7 / 8 } as const;

/** A temporary file this old was left by a process that ended. */
const staleMs = 3_600_000;

/**
 * Decoded images on disk, the least recently used of which give way. A file's time of change is the time of its last
 * use, so that the order outlives the process. Files are written beside and renamed; one that is damaged is a miss.
 */
export class TileCache {
  readonly #directory: string;
  readonly #limitBytes: number;
  /** Bytes that may be written before the directory is looked through again. */
  #untilLook = 0;
  #looking: Promise<void> | undefined;
  #made: Promise<void> | undefined;

  constructor({ directory, limitBytes }: TileCacheOptions) {
    this.#directory = directory;
    this.#limitBytes = limitBytes;
  }

  /** @param key from `tileKey` */
  async get(key: string): Promise<RgbImage | undefined> {
    const path = this.#pathOf(key);
    try {
      const file = await open(path);
      try {
        const image = decodeEntry(await file.readFile());
        const now = new Date();
        if (image !== undefined) await file.utimes(now, now);
        else await rm(path, { force: true });
        return image;
      } finally {
        await file.close();
      }
    } catch {
      return undefined;
    }
  }

  /**
   * Keeps the image if there is room for it at all. A full or failing disk costs speed only.
   * @throws ConsiliumError "storage" when the directory cannot be made
   */
  async put(key: string, image: RgbImage): Promise<void> {
    const entry = encodeEntry(image);
    if (entry.length > this.#limitBytes * (1 - shares.full)) return;
    await this.#prepare();
    const path = this.#pathOf(key);
    const temporaryPath = `${path}.${randomUUID()}.tmp`;
    try {
      await mkdir(join(path, ".."), { mode: 0o700 }).catch(() => {});
      await writeFile(temporaryPath, entry, { mode: 0o600, flag: "wx" });
      await rename(temporaryPath, path);
    } catch {
      await rm(temporaryPath, { force: true }).catch(() => {});
      return;
    }
    await this.#noteWritten(entry.length);
  }

  #pathOf(key: string): string {
    return join(this.#directory, key.slice(0, 2), key.slice(2));
  }

  #prepare(): Promise<void> {
    this.#made ??= mkdir(this.#directory, { recursive: true, mode: 0o700 }).then(
      () => {},
      (cause: NodeJS.ErrnoException) => {
        this.#made = undefined;
        throw new ConsiliumError("storage", `the cache of tiles cannot be made (${cause.code})`, {
          remedy: "check the path of the cache and the permissions of the agent's user",
          cause,
        });
      },
    );
    return this.#made;
  }

  async #noteWritten(bytes: number): Promise<void> {
    this.#untilLook -= bytes;
    if (this.#untilLook > 0) return;
    this.#looking ??= this.#makeRoom().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #makeRoom(): Promise<void> {
    const entries = await this.#entries();
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    if (bytes > this.#limitBytes * shares.full) {
      entries.sort((a, b) => a.usedMs - b.usedMs);
      for (const { path, bytes: freed } of entries) {
        if (bytes <= this.#limitBytes * shares.emptied) break;
        await rm(path, { force: true }).catch(() => {});
        bytes -= freed;
      }
    }
    // Others may write meanwhile, so that only a part of the room is this one's.
    this.#untilLook = Math.max(this.#limitBytes / 64, (this.#limitBytes * shares.full - bytes) / 8);
  }

  async #entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const name of await readdir(this.#directory, { recursive: true }).catch((): string[] => [])) {
      const path = join(this.#directory, name);
      const found = await stat(path).catch(() => undefined);
      if (!found?.isFile()) continue;
      const isStale = name.endsWith(".tmp") && Date.now() - found.mtimeMs > staleMs;
      if (isStale) await rm(path, { force: true }).catch(() => {});
      else entries.push({ path, bytes: found.size, usedMs: found.mtimeMs });
    }
    return entries;
  }
}

interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly usedMs: number;
}
