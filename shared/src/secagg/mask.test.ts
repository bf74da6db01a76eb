import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addMask, chunkWords, subtractMask, wordsOf } from "./mask.js";

const key = Buffer.alloc(32, 7);

function maskWords(firstWord: number, count: number): Uint32Array {
  const words = new Uint32Array(count);
  addMask(words, { key, firstWord });
  return words;
}

describe("masks", () => {
  const whole = maskWords(0, 3 * chunkWords);

  it("are the same from any place on", () => {
    const places = fc.record({ first: fc.nat(2 * chunkWords), count: fc.integer({ min: 1, max: chunkWords }) });
    fc.assert(
      fc.property(places, ({ first, count }) => {
        expect(maskWords(first, count).every((word, i) => word === whole[first + i])).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("seek beyond 2^32 bytes", () => {
    const far = 2 ** 31 + 6;
    expect([...maskWords(far, 8)].slice(4)).toEqual([...maskWords(far + 4, 4)]);
  });

  it("come off again, whatever they were added to", () => {
    const words = Uint32Array.from({ length: 1001 }, (_, i) => (i * 2654435761) >>> 0);
    const before = words.slice();
    addMask(words, { key, firstWord: 13 });
    expect(words).not.toEqual(before);
    subtractMask(words, { key, firstWord: 13 });
    expect(words).toEqual(before);
  });

  it("have bytes that look uniform", () => {
    const counts = new Float64Array(256);
    const bytes = new Uint8Array(whole.buffer);
    for (const byte of bytes) counts[byte] = counts[byte]! + 1;
    const expected = bytes.length / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: mean 255, standard deviation 22.6; 370 is beyond p = 1e-5.
    expect(chiSquare).toBeLessThan(370);
    expect(chiSquare).toBeGreaterThan(160);
  });
});

describe("wordsOf", () => {
  it("reads bytes that are not aligned", () => {
    const bytes = new Uint8Array([9, 1, 0, 0, 0, 255, 255, 255, 255]);
    expect([...wordsOf(bytes.subarray(1))]).toEqual([1, -1]);
  });
});
