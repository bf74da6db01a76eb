import { describe, expect, it } from "vitest";
import type { Entropy } from "../entropy.js";
import { systemEntropy } from "../entropy.js";
import { keystreamChunks } from "../secagg/mask.js";
import { poissonSample } from "./sampling.js";

/** Reproducible bytes. */
function seededEntropy(seed: number): Entropy {
  let word = 0;
  return {
    bytes(length) {
      const words = [...keystreamChunks(new Uint8Array(32).fill(seed), word, Math.ceil(length / 4))];
      word += Math.ceil(length / 4);
      return new Uint8Array(
        Buffer.concat(words.map((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))),
      ).subarray(0, length);
    },
  };
}

describe("Poisson sampling", () => {
  it("takes everyone at rate one and nobody at zero", () => {
    expect(poissonSample(20_000, 1, systemEntropy)).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
    expect(poissonSample(20_000, 0, systemEntropy)).toEqual([]);
    expect(poissonSample(0, 0.5, systemEntropy)).toEqual([]);
  });

  it.each([0.001, 0.04, 0.5, 0.97])("draws sizes with the mean and the variance of a binomial at rate %f", (rate) => {
    const entropy = seededEntropy(7);
    const [count, draws] = [10_000, 200];
    const sizes = Array.from({ length: draws }, () => poissonSample(count, rate, entropy).length);
    const mean = sizes.reduce((sum, size) => sum + size, 0) / draws;
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / (draws - 1);
    const expected = count * rate * (1 - rate);
    expect(Math.abs(mean - count * rate)).toBeLessThan(5 * Math.sqrt(expected / draws));
    expect(variance / expected).toBeGreaterThan(0.6);
    expect(variance / expected).toBeLessThan(1.5);
  });

  it("draws every patient equally often and each apart from its neighbour", () => {
    const entropy = seededEntropy(8);
    const [count, draws, rate] = [50, 20_000, 0.3];
    const seen = new Float64Array(count);
    let pairs = 0;
    for (let i = 0; i < draws; i++) {
      const sample = new Set(poissonSample(count, rate, entropy));
      for (const patient of sample) seen[patient]! += 1;
      if (sample.has(0) && sample.has(1)) pairs++;
    }
    const deviation = Math.sqrt(draws * rate * (1 - rate));
    for (const times of seen) expect(Math.abs(times - draws * rate)).toBeLessThan(5 * deviation);
    expect(Math.abs(pairs / draws - rate ** 2)).toBeLessThan(0.01);
  });

  it("compares against the rate exactly", () => {
    const fixed = (high: number, low: number): Entropy => ({
      bytes: () => new Uint8Array(new Uint32Array([high, low]).buffer),
    });
    expect(poissonSample(1, 0.5, fixed(2 ** 31 - 1, 2 ** 32 - 1))).toEqual([0]);
    expect(poissonSample(1, 0.5, fixed(2 ** 31, 0))).toEqual([]);
    expect(poissonSample(1, 2 ** -53, fixed(0, 0))).toEqual([0]);
    expect(poissonSample(1, 2 ** -53, fixed(0, 1))).toEqual([]);
  });

  it.each([
    [-1, 0.5],
    [1.5, 0.5],
    [10, -0.1],
    [10, 1.1],
    [10, Number.NaN],
  ])("refuses %f patients at rate %f", (count, rate) => {
    expect(() => poissonSample(count, rate, systemEntropy)).toThrow("can be drawn");
  });
});
