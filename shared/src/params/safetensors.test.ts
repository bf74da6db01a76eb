import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSafetensors, writeSafetensors } from "./safetensors.js";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "safetensors-"));
  path = join(directory, "a.safetensors");
});
afterEach(() => rm(directory, { recursive: true }));

const tensors = [
  { name: "a", shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 0) },
  { name: "b", shape: [1], data: Float32Array.of(7) },
];

describe("safetensors files", () => {
  it("keep values, shapes and metadata", async () => {
    await writeSafetensors(path, tensors, { round: "3" });
    const file = await readSafetensors(path);
    expect(file.metadata).toEqual({ round: "3" });
    expect(file.tensors.get("a")).toEqual({ shape: [2, 2], data: tensors[0]?.data });
    expect(file.tensors.get("b")?.data).toEqual(Float32Array.of(7));
  });

  it("have the layout of the format byte for byte", async () => {
    await writeSafetensors(path, [tensors[1]!]);
    const json = '{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const bytes = await readFile(path);
    expect(bytes.readBigUInt64LE()).toBe(56n);
    expect(bytes.subarray(8, 64).toString()).toBe(json.padEnd(56));
    expect(bytes.readFloatLE(64)).toBe(7);
  });

  it("write part of a larger array", async () => {
    const vector = Float32Array.of(9, 1, 2, 9);
    await writeSafetensors(path, [{ name: "part", shape: [2], data: vector.subarray(1, 3) }]);
    expect((await readSafetensors(path)).tensors.get("part")?.data).toEqual(Float32Array.of(1, 2));
  });

  it("refuse values that do not fill their shape", async () => {
    await expect(writeSafetensors(path, [{ ...tensors[1]!, shape: [2] }])).rejects.toThrow(/1 values for shape \[2\]/);
  });

  it("are refused when cut", async () => {
    await writeSafetensors(path, tensors);
    await truncate(path, (await readFile(path)).length - 4);
    await expect(readSafetensors(path)).rejects.toMatchObject({ code: "input-unreadable" });
  });

  it("are refused when missing", async () => {
    await expect(readSafetensors(path)).rejects.toMatchObject({ code: "input-unreadable" });
  });

  async function writeRaw(dtype: string, data: Uint8Array): Promise<void> {
    const json = JSON.stringify({ b: { dtype, shape: [2], data_offsets: [0, data.length] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await writeFile(path, Buffer.concat([length, Buffer.from(json), data]));
  }

  it.each([
    ["F16", new Uint8Array(Uint16Array.of(0x3e00, 0xc000).buffer)],
    ["BF16", new Uint8Array(Uint16Array.of(0x3fc0, 0xc000).buffer)],
    ["F64", new Uint8Array(Float64Array.of(1.5, -2).buffer)],
  ])("give values of type %s as 32-bit floats", async (dtype, data) => {
    await writeRaw(dtype, data);
    expect((await readSafetensors(path)).tensors.get("b")).toEqual({ shape: [2], data: Float32Array.of(1.5, -2) });
  });

  it("are refused with values that are no floats", async () => {
    await writeRaw("I32", new Uint8Array(8));
    await expect(readSafetensors(path)).rejects.toMatchObject({ code: "input-unsupported" });
  });
});
