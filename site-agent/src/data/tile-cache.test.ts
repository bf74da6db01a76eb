import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "./image.js";
import type { ImageSource, SourceItem } from "./source.js";
import { temporaryFolder } from "./test-folders.js";
import { cachedSource, TileCache, tileKey } from "./tile-cache.js";
import { decodeEntry, encodeEntry } from "./tile-cache-entry.js";

const folder = temporaryFolder();

function imageOf(seed: number, side = 64): RgbImage {
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 31 + seed * 17) % 256);
  return { width: side, height: side, data, spacing: { x: 0.0005, y: 0.00051 } };
}

const item = (id: string, stamp = "1"): SourceItem => ({ id, stamp });
const key = (index: number): string => tileKey(item(`a//${index}`), "k");
const open = (limitBytes = 10_000_000): TileCache => new TileCache({ directory: join(folder(), "cache"), limitBytes });

async function entries(): Promise<string[]> {
  const names = await readdir(join(folder(), "cache"), { recursive: true });
  const paths = names.map((name) => join(folder(), "cache", name));
  const found = await Promise.all(paths.map((path) => stat(path)));
  return paths.filter((_, index) => found[index]!.isFile()).sort();
}

async function bytes(): Promise<number> {
  const found = await Promise.all((await entries()).map((path) => stat(path)));
  return found.reduce((sum, { size }) => sum + size, 0);
}

describe("entries", () => {
  it("come back as they were", () => {
    const { spacing: _, ...bare } = imageOf(1);
    for (const image of [imageOf(1), bare]) {
      const decoded = decodeEntry(encodeEntry(image))!;
      expect({ ...decoded, data: Buffer.from(decoded.data) }).toEqual({ ...image, data: Buffer.from(image.data) });
    }
  });

  it("are told from what is damaged, whichever byte it is", () => {
    const entry = encodeEntry(imageOf(1, 8));
    for (let at = 0; at < entry.length; at++) {
      const damaged = Buffer.from(entry);
      damaged[at]! ^= 1 << (at % 8);
      expect(decodeEntry(damaged)).toBeUndefined();
    }
    for (const length of [0, 3, 59, 60, entry.length - 1])
      expect(decodeEntry(entry.subarray(0, length))).toBeUndefined();
  });
});

describe("TileCache", () => {
  it("keeps images across restarts, for this user only", async () => {
    await open().put(key(1), imageOf(1));
    const kept = await open().get(key(1));
    expect(Buffer.from(kept!.data).equals(Buffer.from(imageOf(1).data))).toBe(true);
    expect(kept!.spacing).toEqual({ x: 0.0005, y: 0.00051 });
    expect(await open().get(key(2))).toBeUndefined();
    expect((await stat(join(folder(), "cache"))).mode & 0o777).toBe(0o700);
    expect((await stat((await entries())[0]!)).mode & 0o777).toBe(0o600);
  });

  it("has another key for another item, stamp or kind", () => {
    const keys = [
      tileKey(item("a"), "k"),
      tileKey(item("b"), "k"),
      tileKey(item("a", "2"), "k"),
      tileKey(item("a"), "l"),
    ];
    expect(new Set(keys).size).toBe(4);
  });

  it("takes a damaged entry for a miss, and removes it", async () => {
    const cache = open();
    await cache.put(key(1), imageOf(1));
    const [path] = await entries();
    const content = await readFile(path!);
    content[100]! ^= 1;
    await writeFile(path!, content);
    expect(await cache.get(key(1))).toBeUndefined();
    expect(await entries()).toEqual([]);
  });

  it("stays within its bound, and lets go of the least recently used, also those of before a restart", async () => {
    const entryBytes = encodeEntry(imageOf(0)).length;
    const limit = entryBytes * 32;
    let cache = open(limit);
    for (let index = 0; index < 20; index++) await cache.put(key(index), imageOf(index));
    // As if written one after the other in the past, of which the first was used again.
    for (let index = 0; index < 20; index++) await setUsed(key(index), 1000 + index);
    cache = open(limit);
    expect(await cache.get(key(0))).toBeDefined();
    for (let index = 100; index < 116; index++) await cache.put(key(index), imageOf(index));
    expect(await bytes()).toBeLessThanOrEqual(limit);
    expect(await cache.get(key(0))).toBeDefined();
    expect(await cache.get(key(115))).toBeDefined();
    expect(await cache.get(key(1))).toBeUndefined();
    expect(await cache.get(key(19))).toBeDefined();
  });

  async function setUsed(of: string, seconds: number): Promise<void> {
    await utimes(join(folder(), "cache", of.slice(0, 2), of.slice(2)), seconds, seconds);
  }

  it("does not keep what is larger than a sixteenth of the bound", async () => {
    const cache = open(encodeEntry(imageOf(0)).length * 10);
    await cache.put(key(1), imageOf(1));
    expect(await cache.get(key(1))).toBeUndefined();
  });

  it("is shared: several at once write, read and evict, and what is read is right", async () => {
    const limit = encodeEntry(imageOf(0)).length * 64;
    const caches = Array.from({ length: 4 }, () => open(limit));
    const work = caches.map(async (cache, writer) => {
      for (let step = 0; step < 100; step++) {
        const index = (step * 7 + writer * 3) % 120;
        const kept = await cache.get(key(index));
        if (kept === undefined) await cache.put(key(index), imageOf(index));
        else expect(Buffer.from(kept.data).equals(Buffer.from(imageOf(index).data))).toBe(true);
      }
    });
    await Promise.all(work);
    expect(await bytes()).toBeLessThanOrEqual(limit);
    expect((await entries()).filter((path) => path.endsWith(".tmp"))).toEqual([]);
  });

  it("removes what a process left half written long ago, but not what is being written", async () => {
    const cache = open();
    await cache.put(key(1), imageOf(1));
    const [path] = await entries();
    await writeFile(`${path}.old.tmp`, "x");
    await utimes(`${path}.old.tmp`, 1000, 1000);
    await writeFile(`${path}.new.tmp`, "x");
    await open().put(key(2), imageOf(2));
    expect((await entries()).filter((name) => name.endsWith(".tmp"))).toEqual([`${path}.new.tmp`]);
  });

  it("says so when its folder cannot be made", async () => {
    await writeFile(join(folder(), "file"), "x");
    const cache = new TileCache({ directory: join(folder(), "file", "cache"), limitBytes: 1e7 });
    await expect(cache.put(key(1), imageOf(1))).rejects.toMatchObject({ code: "storage" });
  });
});

describe("cachedSource", () => {
  function counting(): { readonly source: ImageSource; readonly reads: string[] } {
    const reads: string[] = [];
    const source: ImageSource = {
      async *files() {},
      items: async () => [],
      read: async ({ id }) => {
        reads.push(id);
        if (id === "bad") throw new Error("bad");
        return imageOf(id.length);
      },
      close: async () => {},
    };
    return { source, reads };
  }

  it("reads an image once while its file and the settings stay as they are", async () => {
    const { source, reads } = counting();
    const cached = (kind: string) => {
      return cachedSource(source, { directory: join(folder(), "cache"), limitBytes: 1e7, kindOf: () => kind });
    };
    for (const kind of ["k", "k", "l"]) {
      for (const stamp of ["1", "2", "1"]) expect((await cached(kind).read(item("a", stamp))).width).toBe(64);
    }
    expect(reads).toHaveLength(4);
  });

  it("keeps neither failures nor what has no kind", async () => {
    const { source, reads } = counting();
    const kindOf = ({ id }: SourceItem) => (id === "plain" ? undefined : "k");
    const cached = cachedSource(source, { directory: join(folder(), "cache"), limitBytes: 1e7, kindOf });
    for (const _ of [1, 2]) {
      await cached.read(item("plain"));
      await expect(cached.read(item("bad"))).rejects.toThrow("bad");
    }
    expect(reads).toEqual(["plain", "bad", "plain", "bad"]);
  });
});
