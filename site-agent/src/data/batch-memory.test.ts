import { describe, expect, it } from "vitest";
import { BatchMemory } from "./batch-memory.js";

const extent = { batchSize: 3, viewBytes: [2, 2] };

/** [view's bytes] of a row. */
const rowOf = (row: number) => [Uint8Array.of(row, 10 + row), Uint8Array.of(100 + row, 200 + row)];

describe("BatchMemory", () => {
  it("hands out the batch with its last row, in whatever order and through whatever view of it rows are written", () => {
    const memory = new BatchMemory(extent);
    const elsewhere = new BatchMemory(extent, memory.buffer);
    expect(memory.write(2, rowOf(2))).toBeUndefined();
    expect(elsewhere.write(0, rowOf(0))).toBeUndefined();
    expect(memory.write(1, rowOf(1))).toEqual([
      Uint8Array.of(0, 10, 1, 11, 2, 12),
      Uint8Array.of(100, 200, 101, 201, 102, 202),
    ]);
  });

  it("holds views of unlike sizes", () => {
    const memory = new BatchMemory({ batchSize: 2, viewBytes: [1, 3] });
    memory.write(1, [Uint8Array.of(9), Uint8Array.of(4, 5, 6)]);
    const batch = memory.write(0, [Uint8Array.of(8), Uint8Array.of(1, 2, 3)]);
    expect(batch).toEqual([Uint8Array.of(8, 9), Uint8Array.of(1, 2, 3, 4, 5, 6)]);
  });

  it("can be filled again without a trace in what was handed out", () => {
    const memory = new BatchMemory({ ...extent, batchSize: 1 });
    const first = memory.write(0, rowOf(1));
    memory.clear();
    expect(memory.write(0, rowOf(5))).toEqual(rowOf(5));
    expect(first).toEqual(rowOf(1));
  });

  it("copies into one buffer that is not shared, so that it can be moved to another thread", () => {
    const [one, two] = new BatchMemory({ ...extent, batchSize: 1 }).write(0, rowOf(1))!;
    expect(one!.buffer).toBe(two!.buffer);
    expect(one!.buffer).toBeInstanceOf(ArrayBuffer);
  });
});
