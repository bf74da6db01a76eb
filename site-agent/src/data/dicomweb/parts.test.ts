import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InstanceCache } from "./instance-cache.js";
import { boundaryOf, firstPart } from "./multipart.js";
import { hashInId, IdSeal } from "./sealed-id.js";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

describe("firstPart", () => {
  const content = Buffer.from("\r\n--almost\r\n--bX\r\n-\r\n--\r\r\n end");
  const headers = "Content-Type: application/dicom\r\nContent-Length: 30";
  const body = Buffer.concat([Buffer.from(`--bb\r\n${headers}\r\n\r\n`), content, Buffer.from("\r\n--bb--\r\n")]);

  it("finds the same content however the bytes are cut", async () => {
    for (const size of [1, 2, 3, 5, 7, 16, 64, 1000]) {
      expect((await collect(firstPart(inPieces(body, size), "bb"))).toString()).toBe(content.toString());
    }
  });

  it("passes over what comes before, and stops at the second part", async () => {
    const two = Buffer.concat([
      Buffer.from("preamble\r\n"),
      body.subarray(0, -4),
      Buffer.from(`\r\n${headers}\r\n\r\nsecond\r\n--bb--`),
    ]);
    expect((await collect(firstPart(inPieces(two, 4), "bb"))).toString()).toBe(content.toString());
  });

  it("takes an empty part", async () => {
    const empty = Buffer.from("--bb\r\nA: b\r\n\r\n\r\n--bb--");
    expect(await collect(firstPart(inPieces(empty, 3), "bb"))).toHaveLength(0);
  });

  it.each([
    ["that ends early", body.subarray(0, -12), "transport"],
    ["of nothing", Buffer.alloc(0), "transport"],
    ["without a boundary", Buffer.alloc(20_000, 65), "content"],
    ["without an end of its headers", Buffer.from(`--bb\r\n${"A: b\r\n".repeat(5000)}`), "content"],
  ])("refuses a body %s", async (_, bytes, kind) => {
    await expect(collect(firstPart(inPieces(bytes, 1000), "bb"))).rejects.toMatchObject({ kind });
  });

  it("reads boundaries", () => {
    expect(boundaryOf("multipart/related; boundary=abc")).toBe("abc");
    expect(boundaryOf('multipart/related; type="application/dicom"; Boundary="a b;c"')).toBe("a b;c");
    expect(() => boundaryOf("multipart/related")).toThrow("without boundary");
    expect(() => boundaryOf(`multipart/related; boundary=${"x".repeat(71)}`)).toThrow("without boundary");
  });
});

describe("IdSeal", () => {
  const name = { study: "1.2.840.1", series: "1.2.840.1.2", instance: "1.2.840.1.2.3" };

  it("opens what it sealed, the same each time, and nothing else", () => {
    const seal = new IdSeal("key");
    const id = seal.seal(name);
    expect(new IdSeal("key").open(id)).toEqual(name);
    expect(new IdSeal("key").seal(name)).toBe(id);
    expect(new IdSeal("other").seal(name)).not.toBe(id);
    expect(new IdSeal("other").open(id)).toBeUndefined();
    expect(seal.open(`A${id.slice(1)}`)).toBeUndefined();
    expect(seal.open("")).toBeUndefined();
    expect(Buffer.from(id, "base64url").toString("latin1")).not.toContain("840");
  });

  it("gives files names that differ with the object", () => {
    const seal = new IdSeal("key");
    const hashes = [name, { ...name, instance: "1.2.840.1.2.4" }].map((each) => hashInId(seal.seal(each)));
    expect(hashes[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(hashes[0]).not.toBe(hashes[1]);
  });
});

describe("InstanceCache", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "instance-cache-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = (maxBytes: number): InstanceCache => new InstanceCache({ folder, maxBytes, maxFileBytes: 500 });
  const store = (cache: InstanceCache, name: string, size = 100): Promise<void> =>
    cache.store(name, inPieces(Buffer.alloc(size, 1), 33));
  const age = async (cache: InstanceCache, name: string, seconds: number): Promise<void> => {
    const at = new Date(Date.now() - seconds * 1000);
    await utimes(cache.pathOf(name), at, at);
  };

  it("drops what was unused for longest, also after a restart", async () => {
    const before = open(400);
    for (const [index, name] of ["a1", "a2", "a3", "a4"].entries()) {
      await store(before, name);
      await age(before, name, 100 - index);
    }
    const cache = open(400);
    expect(await cache.touch("a1")).toBe(true);
    await store(cache, "a5");
    // Down to nine tenths, the new one included: 360 bytes are three objects.
    expect((await readdir(folder)).sort()).toEqual(["a1.dcm", "a4.dcm", "a5.dcm"]);
    expect(await cache.touch("a2")).toBe(false);
  });

  it("leaves nothing behind of what failed, and removes what others left", async () => {
    const cache = open(10_000);
    await expect(store(cache, "b1", 501)).rejects.toMatchObject({ kind: "too-large" });
    await writeFile(join(folder, "b2.99-0.part"), "half");
    await utimes(join(folder, "b2.99-0.part"), 0, 0);
    await writeFile(join(folder, "notes.txt"), "not ours");
    await store(open(10_000), "b3");
    expect((await readdir(folder)).sort()).toEqual(["b3.dcm", "notes.txt"]);
  });

  it("does not take an empty file for an object", async () => {
    const cache = open(1000);
    await writeFile(cache.pathOf("c1"), "");
    expect(await cache.touch("c1")).toBe(false);
  });
});
