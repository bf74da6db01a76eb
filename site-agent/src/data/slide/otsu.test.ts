import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { otsuThreshold } from "./otsu.js";

/** Sum of squares about the mean. */
function within(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const mean = counts.reduce((sum, count, bin) => sum + count * bin, 0) / Math.max(1, total);
  return counts.reduce((sum, count, bin) => sum + count * (bin - mean) ** 2, 0);
}

const withinBoth = (histogram: readonly number[], threshold: number): number =>
  within(histogram.slice(0, threshold + 1)) + within(histogram.slice(threshold + 1));

describe("otsuThreshold", () => {
  it("has the least variance within both classes of all thresholds", () => {
    const histograms = fc.array(fc.nat(6), { minLength: 2, maxLength: 24 }).filter((bins) => bins.some((n) => n > 0));
    fc.assert(
      fc.property(histograms, (histogram) => {
        const least = Math.min(...histogram.map((_, threshold) => withinBoth(histogram, threshold)));
        expect(withinBoth(histogram, otsuThreshold(histogram))).toBeCloseTo(least, 6);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it("parts two peaks between them, and names the only value of a flat picture", () => {
    const peaks = new Array<number>(256).fill(0);
    peaks[20] = peaks[21] = 50;
    peaks[200] = 30;
    expect(otsuThreshold(peaks)).toBe(21);
    expect(otsuThreshold([0, 0, 9, 0])).toBe(2);
    expect(otsuThreshold([0, 0])).toBe(0);
  });
});
