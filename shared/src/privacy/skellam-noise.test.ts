import { describe, expect, it } from "vitest";
import { skellamNoise } from "./skellam-noise.js";
import { normalCdf } from "./special.js";

function noise(variance: number, count: number, seed = 1): Int32Array {
  const words = new Uint32Array(count);
  skellamNoise(variance, new Uint8Array(32).fill(seed))(words);
  return new Int32Array(words.buffer);
}

function mean(values: Iterable<number>): number {
  const all = [...values];
  return all.reduce((sum, value) => sum + value, 0) / all.length;
}

describe("Skellam noise on ring words", () => {
  it.each([0.2, 5, 30, 1e4, 2 ** 40])("of variance %f has it, and mean zero", (variance) => {
    const values = noise(variance, 100_000);
    const deviation = Math.sqrt(variance);
    expect(Math.abs(mean(values) / deviation)).toBeLessThan(5 / Math.sqrt(100_000));
    const squares = Array.from(values, (value) => value ** 2 / variance);
    // The fourth moment is 3 + 1/variance.
    expect(Math.abs(mean(squares) - 1)).toBeLessThan(5 * Math.sqrt((2 + 1 / variance) / 100_000));
  });

  it("is nearly normal at the scale of the ring", () => {
    const sorted = noise(2 ** 36, 100_000, 2).toSorted();
    const gaps = Array.from(sorted, (value, i) => Math.abs((i + 0.5) / sorted.length - normalCdf(value / 2 ** 18)));
    expect(Math.sqrt(sorted.length) * Math.max(...gaps.slice(0, 50_000), ...gaps.slice(50_000))).toBeLessThan(1.95);
  });

  it("adds up over sites: the sum of shares has the sum of variances", () => {
    const shares = [3, 4, 5, 6].map((seed) => noise(250, 50_000, seed));
    const sums = shares[0]!.map((value, i) => shares.slice(1).reduce((sum, share) => sum + share[i]!, value));
    expect(mean(sums.map((value) => value ** 2)) / 1000).toBeCloseTo(1, 1);
  });

  it("wraps as the ring does and is the key's", () => {
    const words = Uint32Array.of(2 ** 32 - 1, 0, 5);
    const add = skellamNoise(1e6, new Uint8Array(32).fill(9));
    // In two parts, of which the second goes on where the first ended.
    for (const [from, to] of [
      [0, 1],
      [1, 3],
    ] as const)
      add(words.subarray(from, to));
    const alone = noise(1e6, 3, 9);
    expect([...new Int32Array(words.buffer)]).toEqual([alone[0]! - 1, alone[1]!, alone[2]! + 5]);
    expect(noise(1e6, 3, 9)).toEqual(alone);
    expect(noise(1e6, 3, 8)).not.toEqual(alone);
  });

  it.each([0, -1, Number.NaN, 2 ** 51])("refuses the variance %f", (variance) => {
    expect(() => noise(variance, 1)).toThrow("cannot be drawn");
  });
});
