import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ringBoundOf } from "./protocol.js";
import { clippedTensors, decodeMean, encodeDelta, roundStochastically, tensorSpans } from "./quantize.js";

const roundingKey = Buffer.alloc(32, 3);

function encode(delta: Float32Array, options: { clip: number; weightShare?: number; ringBound?: number }) {
  const { clip, weightShare = 1, ringBound = ringBoundOf(3) } = options;
  const words = new Uint32Array(delta.length);
  const tensors = [{ size: delta.length, clip }];
  const clipped = encodeDelta(delta, 0, words, { tensors, weightShare, ringBound, roundingKey });
  return { sums: new Int32Array(words.buffer), clipped, tensors, ringBound, weightShare };
}

describe("roundStochastically", () => {
  it("is exact for integers and otherwise one of the two neighbours", () => {
    fc.assert(
      fc.property(fc.double({ min: -(2 ** 30), max: 2 ** 30, noNaN: true }), fc.integer(), (value, random) => {
        const rounded = roundStochastically(value, random);
        expect([Math.floor(value), Math.ceil(value)]).toContain(rounded);
      }),
    );
    expect(roundStochastically(-7, 0)).toBe(-7);
    expect(roundStochastically(715827882, -1)).toBe(715827882);
  });

  it("rounds up in proportion to the fraction", () => {
    expect(roundStochastically(0.25, 2 ** 30 - 1)).toBe(1);
    expect(roundStochastically(0.25, 2 ** 30)).toBe(0);
    expect(roundStochastically(-0.25, 3 * 2 ** 30)).toBe(-1);
  });
});

describe("encodeDelta", () => {
  it("stays within one unit of the exact value and decodes within its resolution", () => {
    const deltas = fc.float32Array({ minLength: 1, maxLength: 50, min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(deltas, fc.double({ min: 0.01, max: 1, noNaN: true }), (delta, weightShare) => {
        const { sums, tensors, ringBound } = encode(delta, { clip: 1, weightShare });
        const mean = new Float32Array(delta.length);
        decodeMean(sums, 0, mean, { tensors, ringBound, weightShareSum: weightShare, survivors: 1 });
        for (let i = 0; i < delta.length; i++) {
          const resolution = 1 / (ringBound * weightShare);
          expect(Math.abs(mean[i]! - delta[i]!)).toBeLessThanOrEqual(resolution + 2 ** -23 * Math.abs(delta[i]!));
        }
      }),
    );
  });

  it("never exceeds the ring bound, and counts what it clipped", () => {
    const { sums, clipped, ringBound } = encode(new Float32Array([5, -5, 0.1, 0.05]), { clip: 0.1 });
    expect(sums[0]).toBe(ringBound);
    expect(sums[1]).toBe(-ringBound);
    // 0.1 as a float32 lies just above the clip.
    expect(clipped).toBe(3);
  });

  it("gives the same words whether asked for all or for parts", () => {
    const delta = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i) / 100);
    const tensors = clippedTensors([30, 70], [0.01, 0.02]);
    const encoding = { tensors, weightShare: 0.3, ringBound: ringBoundOf(5), roundingKey };
    const whole = new Uint32Array(100);
    encodeDelta(delta, 0, whole, encoding);
    const part = new Uint32Array(41);
    encodeDelta(delta, 17, part, encoding);
    expect([...part]).toEqual([...whole.subarray(17, 58)]);
  });

  it("refuses what is not finite", () => {
    expect(() => encode(new Float32Array([0, Number.NaN]), { clip: 1 })).toThrow(/not a finite number/);
    expect(() => encode(new Float32Array([Number.NEGATIVE_INFINITY]), { clip: 1 })).toThrow(/not a finite number/);
  });
});

describe("decodeMean", () => {
  it("refuses sums that no honest cohort can produce", () => {
    const decoding = { tensors: [{ size: 1, clip: 1 }], ringBound: ringBoundOf(3), weightShareSum: 0.5, survivors: 3 };
    expect(() => decodeMean(new Int32Array([ringBoundOf(3)]), 0, new Float32Array(1), decoding)).toThrow(
      /coordinate 0/,
    );
  });
});

describe("tensorSpans", () => {
  it("cuts a range at the tensors' ends", () => {
    const tensors = clippedTensors([3, 0, 4, 5], [1, 2, 3, 4]);
    expect([...tensorSpans(tensors, 2, 6)]).toEqual([
      { from: 2, to: 3, clip: 1 },
      { from: 3, to: 7, clip: 3 },
      { from: 7, to: 8, clip: 4 },
    ]);
  });
});

describe("clippedTensors", () => {
  it("refuses clips that do not fit", () => {
    expect(() => clippedTensors([1, 2], [1])).toThrow(/do not fit/);
    expect(() => clippedTensors([1], [0])).toThrow(/do not fit/);
  });
});
