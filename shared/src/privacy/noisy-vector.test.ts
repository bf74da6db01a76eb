import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Entropy } from "../entropy.js";
import { drawNoisyKeys, noisyEncoder } from "./noisy-vector.js";
import type { SiteNoise } from "./site-mechanism.js";
import { roundedSensitivity } from "./skellam.js";
import { normalCdf } from "./special.js";

/** The same bytes each time. */
function fixedEntropy(seed: string): Entropy {
  let drawn = 0;
  return { bytes: (count) => createHash("sha512").update(`${seed}/${drawn++}`).digest().subarray(0, count) };
}

const dimension = 40_000;
const noise: SiteNoise = { clip: 2, scale: 2 ** 16, shareVariance: 1e8 };

const deltaOf = (seed: number, norm: number) => {
  const delta = Float32Array.from({ length: dimension }, (_, i) => Math.sin(seed + 7 * i));
  const length = Math.sqrt(delta.reduce((sum, value) => sum + value * value, 0));
  return delta.map((value) => (value * norm) / length);
};

/** A site's words, in uneven portions. */
function encoded(delta: Float32Array, seed: string, with_: SiteNoise = noise): Uint32Array {
  const words = new Uint32Array(delta.length);
  const encode = noisyEncoder(delta, with_, drawNoisyKeys(delta, with_, fixedEntropy(seed)));
  const portion = 9_999;
  for (let first = 0; first < words.length; first += portion) encode(words.subarray(first, first + portion), first);
  return words;
}

function sumOf(vectors: readonly Uint32Array[]): Int32Array {
  const sum = new Int32Array(vectors[0]!.length);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i]! + vector[i]!) | 0;
  return sum;
}

/** How far values are from a normal distribution of this deviation, as Kolmogorov and Smirnov measure it. */
function distanceFromNormal(values: Float64Array, deviation: number): number {
  const sorted = values.toSorted();
  let largest = 0;
  sorted.forEach((value, i) => {
    const expected = normalCdf(value / deviation);
    largest = Math.max(largest, Math.abs(expected - i / sorted.length), Math.abs(expected - (i + 1) / sorted.length));
  });
  return Math.sqrt(sorted.length) * largest;
}

/** What a sum holds beside the clipped updates, in whole numbers. */
function residue(seeds: readonly number[], norm: number): Float64Array {
  const sum = sumOf(seeds.map((seed) => encoded(deltaOf(seed, norm), `${seed}`)));
  const cut = Math.min(1, noise.clip / norm);
  const deltas = seeds.map((seed) => deltaOf(seed, norm));
  return Float64Array.from(sum, (value, i) => {
    const exact = deltas.reduce((all, delta) => all + (delta[i]! * cut * noise.scale) / noise.clip, 0);
    return value - exact;
  });
}

describe("a sum of noisy updates", () => {
  it.each([
    ["all sites", [1, 2, 3, 4, 5]],
    ["the fewest that may be summed", [2, 4, 5]],
  ])("of %s is the clipped updates' and noise of the stated variance", (_name, seeds) => {
    for (const norm of [1, 50]) {
      const rest = residue(seeds, norm);
      // Rounding adds at most a quarter for each site, which is nothing beside the noise.
      const variance = seeds.length * noise.shareVariance;
      const chiSquare = rest.reduce((all, value) => all + value * value, 0) / variance;
      expect(Math.abs(chiSquare - dimension)).toBeLessThan(4 * Math.sqrt(2 * dimension));
      expect(distanceFromNormal(rest, Math.sqrt(variance))).toBeLessThan(1.95);
    }
  });
});

describe("a noisy update", () => {
  it("is the keys' own, in whichever portions, and another with other keys", () => {
    const delta = deltaOf(1, 1);
    expect(encoded(delta, "a")).toEqual(encoded(delta, "a"));
    expect(encoded(delta, "a")).not.toEqual(encoded(delta, "b"));
  });

  it("is never longer before its noise than ε allows for, however long the update", () => {
    const quiet = { clip: 2, scale: 64, shareVariance: 1e-9 };
    for (const norm of [0, 1e-3, 2, 1e6]) {
      const words = new Int32Array(encoded(deltaOf(3, norm), `${norm}`, quiet).buffer);
      const length = Math.sqrt(words.reduce((all, word) => all + word * word, 0));
      expect(length).toBeLessThanOrEqual(roundedSensitivity({ dimension, scale: 64 }).l2 * 64);
    }
  });

  it("draws its rounding again until that holds, and gives up at last", () => {
    // Every coordinate in the middle between two whole numbers: about one rounding in eight is too long.
    const delta = new Float32Array(dimension).fill(4.5);
    const length = 4.5 * Math.sqrt(dimension);
    const half = { clip: length, scale: length, shareVariance: 1 };
    let keys = 0;
    const counting: Entropy = { bytes: (count) => fixedEntropy(`${keys++}`).bytes(count) };
    for (let i = 0; i < 20; i++) drawNoisyKeys(delta, half, counting);
    // Two keys each, and more wherever a rounding was too long.
    expect(keys).toBeGreaterThan(40);
    // The same key each time gives the same rounding; some of forty are too long.
    const withOneKey = (seed: number) => () => {
      const key = fixedEntropy(`only ${seed}`).bytes(32);
      drawNoisyKeys(delta, half, { bytes: () => key });
    };
    const thrown = Array.from({ length: 40 }, (_, seed) => {
      try {
        withOneKey(seed)();
        return undefined;
      } catch (error) {
        return error;
      }
    }).find((error) => error !== undefined);
    expect(thrown).toMatchObject({ code: "internal", message: expect.stringMatching(/longer than noise can hide/) });
  });

  it("refuses what is not finite", () => {
    const delta = deltaOf(1, 1);
    delta[17] = Number.NaN;
    expect(() => drawNoisyKeys(delta, noise, fixedEntropy("x"))).toThrow(
      expect.objectContaining({ code: "not-finite" }),
    );
  });
});
