import { randomFor } from "@consilium/shared/random.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CorruptionRule, corruptBlocks, corruptionCodes } from "./corruption.js";

const size = 32;
const clean = Uint8Array.from({ length: size * size * 3 }, (_, index) => (index * 37 + (index >> 4)) % 256);
const rule: CorruptionRule = { dropShare: 0.75, align: 1, maxBlockShare: 0.3, fills: ["noise"], alienShare: 0 };

const countOf = (map: Uint8Array) => map.filter((code) => code !== corruptionCodes.clean).length;

/** A ~ U(min(½, d), d), the second draw of the image's generator: the first decides on alien blocks. */
function drawnShare(dropShare: number, seed: number): number {
  const random = randomFor("corruption", seed);
  random.uniform();
  const least = Math.min(0.5, dropShare);
  return least + (dropShare - least) * random.uniform();
}

describe("corruptBlocks", () => {
  it("covers the drawn area and less than one block more, and changes nothing outside the map", () => {
    const aligned = fc.record({
      seed: fc.integer(),
      dropShare: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
      align: fc.constantFrom(1, 2, 3, 5, 8),
    });
    fc.assert(
      fc.property(aligned, ({ seed, dropShare, align }) => {
        const { pixels, map } = corruptBlocks(clean, { ...rule, dropShare, align }, randomFor("corruption", seed));
        const area = drawnShare(dropShare, seed) * size * size;
        expect(countOf(map)).toBeGreaterThanOrEqual(area);
        expect(countOf(map)).toBeLessThanOrEqual(area + 0.09 * size * size);
        for (let at = 0; at < clean.length; at++) {
          if (map[Math.floor(at / 3)] === corruptionCodes.clean && pixels[at] !== clean[at]) return false;
        }
        return true;
      }),
      { numRuns: 60 },
    );
  });

  it("leaves the clean view as it was and is decided by the generator", () => {
    const before = clean.slice();
    const [first, second] = [1, 1].map((seed) => corruptBlocks(clean, rule, randomFor("corruption", seed)));
    expect(first).toEqual(second);
    expect(clean).toEqual(before);
  });

  it("keeps to the grid where it is aligned", () => {
    const { map } = corruptBlocks(clean, { ...rule, align: 8 }, randomFor("corruption", 4));
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const corner = map[(row - (row % 8)) * size + column - (column % 8)];
        expect(map[row * size + column]).toBe(corner);
      }
    }
  });

  it("fills with noise of mean zero and deviation one, with zeros, or with the image's own pixels", () => {
    const noise = corruptBlocks(clean, rule, randomFor("corruption", 5));
    const values = [...noise.pixels]
      .filter((_, at) => noise.map[Math.floor(at / 3)] !== 0)
      .map((v) => (v - 127.5) / 25.5);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.1);
    expect(Math.sqrt(variance)).toBeCloseTo(1, 1);
    const codes = (fills: CorruptionRule["fills"]) =>
      new Set(corruptBlocks(clean, { ...rule, fills }, randomFor("corruption", 6)).map);
    expect(codes(["zeros"])).toEqual(new Set([corruptionCodes.clean, corruptionCodes.zero]));
    expect(codes(["copy"])).toEqual(new Set([corruptionCodes.clean, corruptionCodes.copied]));
  });

  it("takes blocks of another image in half of the cases with one fill, over their own share", () => {
    const maps = Array.from(
      { length: 200 },
      (_, seed) => corruptBlocks(clean, { ...rule, alienShare: 0.3 }, randomFor("alien", seed)).map,
    );
    const alien = maps.filter((map) => map.includes(corruptionCodes.alien));
    expect(alien.length).toBeGreaterThan(75);
    expect(alien.length).toBeLessThan(125);
    for (const map of alien) {
      expect(map.includes(corruptionCodes.noise)).toBe(false);
      expect(countOf(map) / map.length).toBeGreaterThanOrEqual(0.3);
      expect(countOf(map) / map.length).toBeLessThan(0.4);
    }
  });
});
