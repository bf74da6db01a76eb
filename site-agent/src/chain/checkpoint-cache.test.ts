import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointCache, type WantedCheckpoint } from "./checkpoint-cache.js";

const content = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));
const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "checkpoint-cache-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A coordinator that sends `bytes`, noting from which offset. */
function wantedFrom(bytes: Uint8Array, offsets: number[], wanted: Uint8Array = content): WantedCheckpoint {
  return {
    digest: digestOf(wanted),
    bytes: wanted.length,
    async *fetch(offset) {
      offsets.push(offset);
      yield { offset, data: Buffer.from(bytes.subarray(offset)) };
    },
    persistently: (download) => download(),
  };
}

const partial = () => join(directory, `${digestOf(content).toString("hex")}.safetensors.partial`);

describe("CheckpointCache", () => {
  it("fetches once and then knows the file by its digest", async () => {
    const offsets: number[] = [];
    const cache = new CheckpointCache(directory);
    const path = await cache.obtain(wantedFrom(content, offsets));
    expect(readFileSync(path)).toEqual(content);
    expect(await cache.obtain(wantedFrom(content, offsets))).toBe(path);
    expect(await new CheckpointCache(directory).obtain(wantedFrom(content, offsets))).toBe(path);
    expect(offsets).toEqual([0]);
  });

  it("knows the checkpoint that was in use before, as long as it is kept", async () => {
    const cache = new CheckpointCache(directory);
    const paths: string[] = [];
    for (const byte of [1, 2, 3]) {
      const bytes = Buffer.alloc(10, byte);
      paths.push(await cache.obtain(wantedFrom(bytes, [], bytes)));
      // Times of files are coarse.
      const used = new Date(1000 * byte);
      utimesSync(paths.at(-1)!, used, used);
    }
    writeFileSync(join(directory, "later.partial"), "");
    expect(await cache.earlierThan(paths[2]!)).toBe(paths[1]);
    expect(await cache.earlierThan(paths[1]!)).toBe(paths[2]);
    rmSync(paths[1]!);
    expect(await cache.earlierThan(paths[2]!)).toBeUndefined();
  });

  it("goes on with a download that was cut", async () => {
    const offsets: number[] = [];
    writeFileSync(partial(), content.subarray(0, 400));
    const path = await new CheckpointCache(directory).obtain(wantedFrom(content, offsets));
    expect(offsets).toEqual([400]);
    expect(readFileSync(path)).toEqual(content);
  });

  it("begins again when what it continued was damaged", async () => {
    const offsets: number[] = [];
    writeFileSync(partial(), Buffer.alloc(400));
    const path = await new CheckpointCache(directory).obtain(wantedFrom(content, offsets));
    expect(offsets).toEqual([400, 0]);
    expect(readFileSync(path)).toEqual(content);
  });

  it("refuses bytes that are not what the plan names", async () => {
    const offsets: number[] = [];
    const wrong = Buffer.alloc(content.length, 7);
    await expect(new CheckpointCache(directory).obtain(wantedFrom(wrong, offsets))).rejects.toMatchObject({
      code: "digest-mismatch",
    });
    expect(offsets).toEqual([0, 0]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("replaces a cached file that was damaged", async () => {
    const offsets: number[] = [];
    const path = await new CheckpointCache(directory).obtain(wantedFrom(content, offsets));
    writeFileSync(path, Buffer.alloc(content.length));
    await new CheckpointCache(directory).obtain(wantedFrom(content, offsets));
    expect(readFileSync(path)).toEqual(content);
  });

  it("keeps only the checkpoints used last", async () => {
    const cache = new CheckpointCache(directory, 2);
    const paths: string[] = [];
    for (const fill of [1, 2, 3]) {
      const bytes = Buffer.alloc(10, fill);
      paths.push(await cache.obtain(wantedFrom(bytes, [], bytes)));
    }
    expect(paths.map((path) => existsSync(path))).toEqual([false, true, true]);
  });
});
