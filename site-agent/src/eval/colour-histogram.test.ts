import { describe, expect, it } from "vitest";
import { colourHistograms } from "./colour-histogram.js";

/** The bin of a colour's levels, each 0 … 7. */
const bin = (red: number, green: number, blue: number): number => red * 64 + green * 8 + blue;

describe("colourHistograms", () => {
  it("has the root of each joint level's share", () => {
    // Twice black, once (31, 32, 255), once white: levels change at multiples of 32.
    const image = Uint8Array.of(0, 0, 0, 31, 32, 255, 255, 255, 255, 0, 31, 31);
    const { count, width, values } = colourHistograms([image]);
    expect([count, width]).toEqual([1, 512]);
    const expected = new Float32Array(512);
    expected[bin(0, 0, 0)] = Math.sqrt(0.5);
    expected[bin(0, 1, 7)] = 0.5;
    expected[bin(7, 7, 7)] = 0.5;
    expect(values).toEqual(expected);
  });

  it("has a row of length one for every image, wherever its pixels lie", () => {
    const pixels = [0, 90, 200, 255, 1, 17, 64, 64, 65, 200, 3, 99];
    const turned = [...pixels.slice(6), ...pixels.slice(0, 6)];
    const { count, values } = colourHistograms(
      [pixels, turned, pixels.toReversed()].map((row) => Uint8Array.from(row)),
    );
    expect(count).toBe(3);
    const rows = [0, 1, 2].map((row) => values.subarray(row * 512, (row + 1) * 512));
    for (const row of rows) expect(row.reduce((sum, value) => sum + value ** 2, 0)).toBeCloseTo(1, 6);
    expect(rows[1]).toEqual(rows[0]);
    // Red and blue are told apart.
    expect(rows[2]).not.toEqual(rows[0]);
  });
});
