import { describe, expect, it } from "vitest";
import { gaussianDelta, gaussianEpsilon, gaussianNoiseMultiplier, separation } from "./gaussian.js";

describe("the exact Gaussian mechanism", () => {
  it.each([
    [5, 100, 1e-5, 9.997256146],
    [10, 200, 1e-6, 7.286080966],
    [20, 100, 1e-5, 1.993091404],
    [30, 300, 1e-6, 2.641143952],
  ])("σ %f, %i releases, δ %f has ε %f", (sigma, steps, delta, expected) => {
    expect(gaussianEpsilon(delta, separation(sigma, steps))).toBeCloseTo(expected, 8);
  });

  it.each([
    [1, 1e-6, 4.224678889],
    [1, 1e-5, 3.730631635],
    [8, 1e-5, 0.600229072],
  ])("(%f, %f) needs σ %f", (epsilon, delta, expected) => {
    expect(gaussianNoiseMultiplier({ epsilon, delta })).toBeCloseTo(expected, 8);
    expect(gaussianNoiseMultiplier({ epsilon, delta, steps: 100 })).toBeCloseTo(10 * expected, 7);
  });

  it("has the δ of three releases with σ √3", () => {
    expect(gaussianDelta(1, separation(Math.sqrt(3), 3))).toBeCloseTo(0.126936, 5);
  });

  /** [ε, μ, δ], with 400 digits by mpmath 1.3. */
  it.each([
    [0, 1, 0.3829249225480262],
    [0.5, 0.1, 6.856582455838726e-9],
    [1, 0.05, 1.129033227097697e-91],
    [10, 1, 9.812705826846956e-23],
    [30, 4, 7.77462560605894e-9],
    [60, 12, 0.8195248725335471],
    [500, 12, 1.634593552575692e-279],
  ])("keeps its digits in the tail, ε %f and μ %f", (epsilon, mu, expected) => {
    expect(Math.abs(gaussianDelta(epsilon, mu) / expected - 1)).toBeLessThan(1e-10);
  });

  it("gives back ε from δ", () => {
    for (const epsilon of [0.01, 1, 4, 20]) {
      expect(gaussianEpsilon(gaussianDelta(epsilon, 0.8), 0.8)).toBeCloseTo(epsilon, 10);
    }
  });

  it("needs nothing where δ already covers all", () => {
    expect(gaussianEpsilon(0.5, 0.1)).toBe(0);
    expect(gaussianDelta(1, 0)).toBe(0);
  });

  it.each([0, 1, -1e-5, Number.NaN])("refuses δ %f", (delta) => {
    expect(() => gaussianEpsilon(delta, 1)).toThrow("between 0 and 1");
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses ε %f", (epsilon) => {
    expect(() => gaussianNoiseMultiplier({ epsilon, delta: 1e-5 })).toThrow("positive");
  });
});
