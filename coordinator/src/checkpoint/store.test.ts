import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointReader } from "@consilium/shared/checkpoint/reader.js";
import { CheckpointWriter } from "@consilium/shared/checkpoint/writer.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointStore } from "./store.js";

const layout = placeParameters([
  { name: "a", shape: [2, 2], initializer: { kind: "zeros" } },
  { name: "b", shape: [3], initializer: { kind: "zeros" } },
]);
const vector = Float32Array.from({ length: 7 }, (_, i) => i + 0.5);
const coded = (code: string) => expect.objectContaining({ code });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "consilium-store-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("CheckpointWriter", () => {
  it("leaves nothing behind when it cannot begin", async () => {
    const sizeless = { name: "a", shape: [Symbol("wide") as never] };
    const beginning = CheckpointWriter.begin(directory, { tensors: [sizeless], metadata: {} });
    await expect(beginning).rejects.toEqual(coded("storage"));
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("CheckpointStore", () => {
  it("stores a file named after the digest of its bytes", async () => {
    const store = new CheckpointStore(directory);
    const { digest, path, bytes } = await store.writeInitial(layout, [vector], { run: "r" });
    const file = readFileSync(path);
    expect(createHash("sha256").update(file).digest("hex")).toBe(digest);
    expect(path).toBe(store.pathOf(digest));
    expect(bytes).toBe(file.length);
    const { tensors, metadata } = await readSafetensors(path);
    expect(metadata).toEqual({ run: "r" });
    expect([...(tensors.get("b")?.data ?? [])]).toEqual([4.5, 5.5, 6.5]);
    expect(await store.open(digest)).toEqual({ digest, path, bytes });
    expect((await store.writeInitial(layout, [vector], { run: "r" })).digest).toBe(digest);
    expect(readdirSync(directory)).toHaveLength(1);
  });

  it("refuses a file whose bytes changed, and one that is not there", async () => {
    const store = new CheckpointStore(directory);
    const { digest, path } = await store.writeInitial(layout, [vector], {});
    const file = readFileSync(path);
    file[file.length - 1] = file[file.length - 1]! ^ 1;
    writeFileSync(path, file);
    await expect(store.open(digest)).rejects.toThrow(coded("digest-mismatch"));
    await store.remove(digest);
    expect(await store.has(digest)).toBe(false);
    await expect(store.open(digest)).rejects.toThrow(coded("not-found"));
    expect(() => store.pathOf("../../etc/passwd")).toThrow(coded("not-found"));
  });

  it("removes what was left unfinished when it opens", async () => {
    const store = new CheckpointStore(directory);
    const { digest } = await store.writeInitial(layout, [vector], {});
    const writer = await CheckpointWriter.begin(directory, { tensors: layout.parameters, metadata: {} });
    await writer.write(vector.subarray(0, 3));
    expect(readdirSync(directory)).toHaveLength(2);
    expect(await new CheckpointStore(directory).has(digest)).toBe(true);
    expect(readdirSync(directory)).toHaveLength(1);
    await writer.discard();
  });
});

describe("CheckpointWriter", () => {
  it("leaves nothing behind when discarded, and says why a directory cannot be written", async () => {
    const writer = await CheckpointWriter.begin(directory, { tensors: layout.parameters, metadata: {} });
    await writer.discard();
    expect(readdirSync(directory)).toEqual([]);
    const begin = CheckpointWriter.begin(join(directory, "absent"), { tensors: [], metadata: {} });
    await expect(begin).rejects.toThrow(coded("storage"));
  });
});

describe("CheckpointReader", () => {
  it("reads values in order and ends with the file's digest", async () => {
    const { digest, path } = await new CheckpointStore(directory).writeInitial(layout, [vector], {});
    const reader = await CheckpointReader.open(path, layout);
    const [first, rest] = [new Float32Array(5), new Float32Array(2)];
    await reader.read(first);
    await reader.read(rest);
    await reader.close();
    expect([...first, ...rest]).toEqual([...vector]);
    expect(reader.digest()).toBe(digest);
  });

  it("refuses another layout, a damaged file and none", async () => {
    const { path } = await new CheckpointStore(directory).writeInitial(layout, [vector], {});
    const other = placeParameters([{ name: "a", shape: [7], initializer: { kind: "zeros" } }]);
    await expect(CheckpointReader.open(path, other)).rejects.toThrow(coded("input-unsupported"));
    appendFileSync(path, "x");
    await expect(CheckpointReader.open(path, layout)).rejects.toThrow(coded("input-unreadable"));
    await expect(CheckpointReader.open(`${path}.not`, layout)).rejects.toThrow(coded("not-found"));
  });
});
