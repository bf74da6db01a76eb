import { setImmediate } from "node:timers/promises";
import { blockWords } from "@consilium/shared/aggregate/next-checkpoint.js";
import { describe, expect, it } from "vitest";
import { type FillBlock, ReadAhead, type Stretch } from "./read-ahead.js";

/** Words that say where they come from, in two blocks, made one after the other. */
function source() {
  const blocks = [new Int32Array(blockWords), new Int32Array(blockWords)] as const;
  const asked: Stretch[] = [];
  let last: Promise<unknown> = Promise.resolve();
  const fill: FillBlock = (stretch) => {
    asked.push(stretch);
    const filled = last.then(async () => {
      await setImmediate();
      return fillWith(blocks[stretch.block].subarray(0, stretch.count), stretch.first);
    });
    last = filled;
    return filled;
  };
  return { fill, asked };
}

function fillWith(words: Int32Array, first: number): Int32Array {
  for (let i = 0; i < words.length; i++) words[i] = first + i;
  return words;
}

describe("ReadAhead", () => {
  const dimension = 2 * blockWords + 5;
  const lanes = 3;

  it("makes the next block while one is used, and never touches the one that is", async () => {
    const { fill, asked } = source();
    const sum = new ReadAhead(dimension + lanes, fill);
    expect([...(await sum.range(dimension, lanes))]).toEqual([dimension, dimension + 1, dimension + 2]);
    for (let first = 0; first < dimension; first += blockWords) {
      const count = Math.min(blockWords, dimension - first);
      const words = await sum.range(first, count);
      for (let turn = 0; turn < 5; turn++) await setImmediate();
      expect([words.length, words[0], words.at(-1)]).toEqual([count, first, first + count - 1]);
    }
    expect([...(await sum.range(dimension, lanes))]).toEqual([dimension, dimension + 1, dimension + 2]);
    // The lanes twice, and each block once.
    expect(asked.map(({ first }) => first)).toEqual([0, dimension, blockWords, 2 * blockWords, dimension]);
  });

  it("tells its reader of a failure, and nobody else", async () => {
    const failing = new ReadAhead(5, () => Promise.reject(new Error("gone")));
    await setImmediate();
    await expect(failing.range(0, 5)).rejects.toThrow("gone");
  });
});
