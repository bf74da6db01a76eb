import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Chunk, chunkBytes, chunksOfBytes, chunksOfFile, joinChunks, saveChunks } from "./chunks.js";

const bytes = randomBytes(3 * chunkBytes + 17);
const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
const totalBytes = bytes.length;
const all = () => [...chunksOfBytes(bytes)];

describe("joinChunks", () => {
  it("joins what was split, at every size around a boundary", async () => {
    for (const length of [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, totalBytes]) {
      const part = bytes.subarray(0, length);
      expect((await joinChunks(chunksOfBytes(part), { totalBytes: length })).equals(part)).toBe(true);
    }
  });

  it("ignores what it has seen", async () => {
    const [first, second, third, last] = all();
    const repeated = [first!, first!, second!, ...chunksOfBytes(bytes.subarray(0, chunkBytes + 9)), third!, last!];
    expect((await joinChunks(repeated, { totalBytes, digest })).equals(bytes)).toBe(true);
  });

  it.each([
    ["a gap", () => [all()[0]!, all()[2]!], "digest-mismatch"],
    ["too many bytes", () => [...all(), { offset: totalBytes, data: Buffer.alloc(1) }], "digest-mismatch"],
    ["a changed byte", () => [{ offset: 0, data: Buffer.alloc(chunkBytes) }, ...all().slice(1)], "digest-mismatch"],
    ["an early end", () => all().slice(0, 2), "unreachable"],
  ])("refuses %s", async (_what, chunks: () => Chunk[], code) => {
    await expect(joinChunks(chunks(), { totalBytes, digest })).rejects.toMatchObject({ code });
  });
});

describe("saveChunks", () => {
  let directory: string;
  let path: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "consilium-chunks-"));
  });
  beforeEach(async () => {
    await rm(directory, { recursive: true });
    directory = await mkdtemp(join(tmpdir(), "consilium-chunks-"));
    path = join(directory, "checkpoint.safetensors");
  });
  afterAll(() => rm(directory, { recursive: true }));

  const from = async function* (offset: number, until = totalBytes): AsyncGenerator<Chunk> {
    yield* chunksOfBytes(bytes.subarray(0, until), offset);
  };

  it("saves, and reads the same back in chunks", async () => {
    await saveChunks({ path, totalBytes, digest, fetch: (offset) => from(offset) });
    expect(await readdir(directory)).toEqual(["checkpoint.safetensors"]);
    expect((await joinChunks(chunksOfFile(path), { totalBytes, digest })).equals(bytes)).toBe(true);
  });

  it("goes on where an interruption left it", async () => {
    const broken = saveChunks({ path, totalBytes, digest, fetch: (offset) => from(offset, 2 * chunkBytes) });
    await expect(broken).rejects.toMatchObject({ code: "unreachable" });
    const asked: number[] = [];
    await saveChunks({
      path,
      totalBytes,
      digest,
      fetch: (offset) => {
        asked.push(offset);
        return from(offset);
      },
    });
    expect(asked).toEqual([2 * chunkBytes]);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it("begins again after damaged bytes", async () => {
    await writeFile(`${path}.partial`, Buffer.alloc(100));
    const save = () => saveChunks({ path, totalBytes, digest, fetch: (offset) => from(offset) });
    await expect(save()).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(await readdir(directory)).toEqual([]);
    await save();
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it("discards a rest that is longer than the whole", async () => {
    await writeFile(`${path}.partial`, Buffer.alloc(totalBytes + 1));
    await saveChunks({ path, totalBytes, digest, fetch: (offset) => from(offset) });
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });
});
