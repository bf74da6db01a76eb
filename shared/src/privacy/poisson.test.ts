import { describe, expect, it } from "vitest";
import { randomFor } from "../random.js";
import { logPoisson, poisson } from "./poisson.js";
import { normalCdf } from "./special.js";

function draws(mean: number, count: number): number[] {
  const random = randomFor("poisson", mean);
  return Array.from({ length: count }, () => poisson(mean, () => random.uniform()));
}

describe("Poisson variables", () => {
  it.each([0.01, 0.7, 3, 9.9, 10, 14, 100, 1e4])("of mean %f have its probabilities", (mean) => {
    const count = 100_000;
    const seen = new Map<number, number>();
    for (const k of draws(mean, count)) seen.set(k, (seen.get(k) ?? 0) + 1);
    let statistic = 0;
    let cells = 0;
    for (let k = 0; k < mean + 10 * Math.sqrt(mean) + 10; k++) {
      const expected = count * Math.exp(logPoisson(k, mean));
      if (expected < 10) continue;
      statistic += ((seen.get(k) ?? 0) - expected) ** 2 / expected;
      cells++;
    }
    // χ² has mean `cells` and variance twice that.
    expect(statistic).toBeLessThan(cells + 5 * Math.sqrt(2 * cells) + 5);
  });

  it.each([1e6, 2 ** 30, 2 ** 49])("of mean %f are nearly normal whole numbers", (mean) => {
    const sorted = draws(mean, 50_000).toSorted((a, b) => a - b);
    expect(sorted.every(Number.isSafeInteger)).toBe(true);
    const gap = Math.max(
      ...sorted.map((k, i) => Math.abs((i + 0.5) / sorted.length - normalCdf((k + 0.5 - mean) / Math.sqrt(mean)))),
    );
    expect(Math.sqrt(sorted.length) * gap).toBeLessThan(1.95);
  });

  it("are zero for a mean of zero", () => expect(new Set(draws(0, 100))).toEqual(new Set([0])));

  /** [k, mean, log probability], with 60 digits by mpmath 1.3. */
  it.each([
    [0, 3, -3],
    [7, 3, -3.8348753403886464],
    [15, 14.5, -2.287041642442961],
    [16, 14.5, -2.3854817152562133],
    [1_000_300, 1e6, -7.871839373674528],
    [1_500_000, 1e6, -108205.69158866837],
    [562_949_976_867_840, 562_949_953_421_312, -18.38931138698361],
  ])("log P(%i) with mean %f is %f", (k, mean, expected) => {
    expect(Math.abs(logPoisson(k, mean) / expected - 1)).toBeLessThan(1e-13);
  });
});
