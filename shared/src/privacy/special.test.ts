import { describe, expect, it } from "vitest";
import { erfc, erfcx, logAdd, logErfc, logExpm1, normalCdf, normalMass } from "./special.js";

/** Computed with 40 digits by mpmath 1.3. */
const erfcValues: readonly (readonly [number, number])[] = [
  [-6, 2.0],
  [-3, 1.9999779095030015],
  [-1, 1.842700792949715],
  [-0.25, 1.276326390168237],
  [0, 1.0],
  [0.001, 0.9988716212090307],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [1.5, 0.033894853524689274],
  [1.99, 0.004888586800383002],
  [2, 0.004677734981047266],
  [2.01, 0.004475150644751759],
  [2.5, 0.0004069520174449589],
  [3, 2.209049699858544e-5],
  [4.2, 2.8554941795921884e-9],
  [5, 1.537459794428035e-12],
  [7.3, 5.502573750691908e-25],
  [10, 2.088487583762545e-45],
  [15, 7.212994172451207e-100],
  [20, 5.395865611607901e-176],
  [25, 8.300172571196523e-274],
  [26, 5.663192408856143e-296],
];

const logErfcValues: readonly (readonly [number, number])[] = [
  [-5, 0.6931471805591766],
  [0.3, -0.3984300514400853],
  [2.2, -6.285649693191377],
  [30, -903.9741171106439],
  [100, -10005.177585122665],
  [1000, -1000007.4801207219],
];

function relativeError(value: number, expected: number): number {
  return Math.abs(value / expected - 1);
}

describe("erfc", () => {
  it.each(erfcValues)("at %f agrees with mpmath to 1e-12 of its value", (x, expected) => {
    expect(relativeError(erfc(x), expected)).toBeLessThan(1e-12);
  });

  it.each(logErfcValues)("has its logarithm at %f to 1e-13", (x, expected) => {
    expect(relativeError(logErfc(x), expected)).toBeLessThan(1e-13);
  });

  it("is monotone where the series meets the fraction", () => {
    for (let x = 1.999; x < 2.001; x += 1e-6) expect(erfc(x)).toBeGreaterThan(erfc(x + 1e-6));
  });

  it("ends at its limits", () => {
    expect([erfc(Number.POSITIVE_INFINITY), erfc(Number.NEGATIVE_INFINITY), erfc(40)]).toEqual([0, 2, 0]);
    expect(erfc(Number.NaN)).toBeNaN();
  });

  it("is erfcx times e^(-x²)", () => {
    for (const x of [-3, -0.5, 0, 1, 1.999, 2.001, 4]) {
      expect(relativeError(erfcx(x) * Math.exp(-x * x), erfc(x))).toBeLessThan(1e-13);
    }
    expect(relativeError(erfcx(1e6), 1 / (Math.sqrt(Math.PI) * 1e6))).toBeLessThan(1e-11);
  });
});

describe("normal probabilities", () => {
  it("are symmetric, and small masses keep their digits on both sides", () => {
    expect(normalCdf(0)).toBe(0.5);
    expect(normalCdf(1.3) + normalCdf(-1.3)).toBeCloseTo(1, 15);
    expect(relativeError(normalMass(9, 9.1), normalMass(-9.1, -9))).toBeLessThan(1e-15);
    expect(normalMass(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)).toBe(1);
  });
});

describe("log space", () => {
  it("adds without overflow", () => {
    expect(logAdd(1000, 1000)).toBeCloseTo(1000 + Math.LN2, 12);
    expect(logAdd(Number.NEGATIVE_INFINITY, -3)).toBe(-3);
    expect(logAdd(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY);
    expect(logAdd(0, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  it("knows e^x - 1 for small and for large x", () => {
    expect(logExpm1(1e-12)).toBeCloseTo(Math.log(1e-12), 10);
    expect(logExpm1(5000)).toBe(5000);
  });
});
