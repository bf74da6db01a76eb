import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConsiliumError } from "../errors.js";
import { sizeOf } from "./layout.js";
import { encodeHeader, parseHeader } from "./safetensors-header.js";

function headerOf(value: unknown): Uint8Array {
  const json = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  const bytes = Buffer.alloc(8 + json.length);
  bytes.writeBigUInt64LE(BigInt(json.length));
  json.copy(bytes, 8);
  return bytes;
}

const entry = (start: number, end: number, shape = [(end - start) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [start, end],
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    return thrown instanceof ConsiliumError ? thrown.code : `wrong error ${String(thrown)}`;
  }
  return "accepted";
}

describe("safetensors header", () => {
  it("is padded to eight bytes and comes back as it was", () => {
    const tensors = [
      { name: "a", shape: [2, 3] },
      { name: "b", shape: [] },
      { name: "empty", shape: [0, 4] },
    ];
    const bytes = encodeHeader(tensors, { format: "pt" });
    expect(bytes.length % 8).toBe(0);
    const header = parseHeader(bytes, bytes.length + 28);
    expect(header.metadata).toEqual({ format: "pt" });
    expect(header.dataOffset).toBe(bytes.length);
    expect([...header.tensors]).toEqual([
      ["a", { dtype: "F32", shape: [2, 3], start: 0, end: 24 }],
      ["b", { dtype: "F32", shape: [], start: 24, end: 28 }],
      ["empty", { dtype: "F32", shape: [0, 4], start: 28, end: 28 }],
    ]);
  });

  it("accepts tensors listed in another order than they are stored", () => {
    const header = parseHeader(headerOf({ late: entry(8, 12), early: entry(0, 8) }));
    expect(header.tensors.get("late")?.start).toBe(8);
  });

  const refused: readonly [string, Uint8Array, number?][] = [
    ["nothing", new Uint8Array()],
    ["a cut header", encodeHeader([{ name: "a", shape: [1] }]).subarray(0, 12)],
    ["a header beyond 16 MiB", Buffer.from(new BigUint64Array([2n ** 24n + 1n]).buffer)],
    ["a header of 2^63 bytes", Buffer.from(new BigUint64Array([2n ** 63n]).buffer)],
    ["text that is not JSON", headerOf("{not json")],
    ["a list", headerOf("[]")],
    ["overlapping tensors", headerOf({ a: entry(0, 8), b: entry(4, 12) })],
    ["the same bytes twice", headerOf({ a: entry(0, 8), b: entry(0, 8) })],
    ["a gap", headerOf({ a: entry(0, 8), b: entry(12, 16) })],
    ["a gap in front", headerOf({ a: entry(4, 8) })],
    ["an end before its start", headerOf({ a: entry(8, 0, [2]) })],
    ["a shape of another size", headerOf({ a: entry(0, 8, [3]) })],
    ["a negative extent", headerOf({ a: entry(0, 4, [-1, -1]) })],
    ["a fractional extent", headerOf({ a: entry(0, 4, [0.5, 2]) })],
    ["an unknown type", headerOf({ a: { ...entry(0, 8), dtype: "F31" } })],
    ["three offsets", headerOf({ a: { ...entry(0, 8), data_offsets: [0, 4, 8] } })],
    ["metadata that is not text", headerOf({ __metadata__: { a: 1 } })],
    ["a file that is too short", headerOf({ a: entry(0, 8) }), 4],
    ["a file that is too long", headerOf({ a: entry(0, 8) }), 12],
  ];
  it.each(refused)("refuses %s", (_, bytes, dataBytes) => {
    const fileBytes = dataBytes === undefined ? undefined : bytes.length + dataBytes;
    expect(codeOf(() => parseHeader(bytes, fileBytes))).toBe("input-unreadable");
  });

  it("answers arbitrary bytes with a header or a readable error", () => {
    const json = fc.json().map(headerOf);
    const likely = fc
      .dictionary(
        fc.string(),
        fc.record({
          dtype: fc.constantFrom("F32", "U8"),
          shape: fc.array(fc.nat(5)),
          data_offsets: fc.array(fc.integer({ min: -2, max: 40 }), { maxLength: 3 }),
        }),
      )
      .map(headerOf);
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), json, likely), (bytes) => {
        expect(["accepted", "input-unreadable"]).toContain(codeOf(() => parseHeader(bytes, bytes.length)));
      }),
      { numRuns: 300 },
    );
  });

  it("reads back what it wrote, whatever the names and shapes", () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string().filter((name) => name !== "__metadata__"),
        shape: fc.array(fc.nat(4), { maxLength: 4 }),
      }),
      { selector: ({ name }) => name, maxLength: 6 },
    );
    fc.assert(
      fc.property(tensors, (written) => {
        const bytes = encodeHeader(written);
        const size = written.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
        const { tensors: read } = parseHeader(bytes, bytes.length + size);
        expect(read.size).toBe(written.length);
        for (const { name, shape } of written) expect(read.get(name)?.shape).toEqual(shape);
      }),
      { numRuns: 200 },
    );
  });
});
