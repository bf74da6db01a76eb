import { describe, expect, it } from "vitest";
import { gaussianDelta, gaussianEpsilon, separation } from "./gaussian.js";
import { deltaFromLoss, epsilonFromLoss, privacyLoss } from "./pld.js";

function lossOf(noiseMultiplier: number, samplingRate: number, steps: number) {
  return privacyLoss([{ noiseMultiplier, samplingRate, steps }]);
}

/** [σ, q, steps, δ, ε]: the values of another implementation, whose grid is 1e-4 wide. */
const reference: readonly (readonly [number, number, number, number, number])[] = [
  [1, 1, 1, 1e-5, 4.377178],
  [1, 1, 10, 1e-5, 17.856587],
  [2, 1, 100, 1e-5, 33.103732],
  [1.1, 0.01, 1000, 1e-5, 1.51537],
  [1, 0.01, 10_000, 1e-5, 6.187745],
  [1, 0.1, 100, 1e-5, 7.046603],
  [1, 0.2, 200, 1e-3, 16.398405],
  [0.8, 0.05, 100, 1e-6, 6.730629],
  [1.5, 0.04, 2250, 1e-5, 6.768787],
];

/** [σ, q, steps, ε at δ 1e-6] of an accountant that adds its error bound of 0.01. */
const looser: readonly (readonly [number, number, number, number])[] = [
  [0.8, 0.001, 100, 0.2704034],
  [1.5, 0.001, 100, 0.0393694],
  [2, 0.001, 100, 0.0291045],
  [3, 0.001, 100, 0.0215201],
  [0.8, 0.05, 100, 6.7410519],
  [1.5, 0.05, 100, 1.9538531],
  [2, 0.05, 100, 1.2836374],
  [3, 0.05, 100, 0.7679338],
  [0.8, 0.2, 100, 24.3336642],
  [1.5, 0.2, 100, 8.4989779],
  [2, 0.2, 100, 5.6720556],
  [3, 0.2, 100, 3.3812205],
  [1.5, 0.05, 1000, 6.2099692],
  [2, 0.05, 1000, 4.1727999],
  [3, 0.05, 1000, 2.5275743],
  [1.5, 0.001, 20_000, 0.4370051],
  [3, 0.001, 20_000, 0.194031],
  [2, 0.05, 20_000, 24.4217186],
  [3, 0.05, 50_000, 24.9420056],
];

describe("the privacy loss of sampled Gaussians", () => {
  it.each(reference)("σ %f, q %f, %i steps, δ %f has ε %f", (sigma, q, steps, delta, expected) => {
    const epsilon = epsilonFromLoss(lossOf(sigma, q, steps), delta);
    expect(Math.abs(epsilon - expected)).toBeLessThan(1e-3);
  });

  it.each(looser)("σ %f, q %f, %i steps is at most 0.0115 under ε %f", (sigma, q, steps, published) => {
    const epsilon = epsilonFromLoss(lossOf(sigma, q, steps), 1e-6);
    expect(epsilon).toBeLessThanOrEqual(published);
    expect(epsilon).toBeGreaterThan(published - 0.0115);
  });

  it("has the published δ", () => {
    expect(deltaFromLoss(lossOf(0.5, 0.2, 3), 1)).toBeCloseTo(0.15594, 4);
    expect(deltaFromLoss(lossOf(4, 0.01, 10_000), 1) / 4.243484012034273e-6).toBeCloseTo(1, 3);
    expect(deltaFromLoss(lossOf(Math.sqrt(3), 1, 3), 1)).toBeCloseTo(0.126936, 5);
  });

  it("has the published least noise", () => {
    expect(epsilonFromLoss(lossOf(0.67379294682, 0.01, 1), 1e-5)).toBeCloseTo(1, 3);
    expect(epsilonFromLoss(lossOf(3.20956502598 / 6, 0.001, 25), 1e-5)).toBeCloseTo(1, 3);
  });

  it("takes the worse direction, which depends on ε", () => {
    const { remove, add } = lossOf(1, 0.1, 10);
    const deltas = (epsilon: number) =>
      [remove, add].map((side) => deltaFromLoss({ remove: side, add: side }, epsilon));
    for (const epsilon of [0.1, 1, 3]) {
      expect(deltaFromLoss({ remove, add }, epsilon)).toBe(Math.max(...deltas(epsilon)));
    }
    expect(deltas(3)[0]).toBeGreaterThan(2 * deltas(3)[1]!);
  });

  it("composes different mechanisms, as one with the same steps", () => {
    const once = lossOf(1.5, 0.05, 300);
    const split = privacyLoss([100, 200].map((steps) => ({ noiseMultiplier: 1.5, samplingRate: 0.05, steps })));
    expect(epsilonFromLoss(split, 1e-6)).toBeCloseTo(epsilonFromLoss(once, 1e-6), 6);
    const gaussians = privacyLoss([3, 4].map((sigma) => ({ noiseMultiplier: sigma, samplingRate: 1, steps: 5 })));
    const mu = Math.sqrt(5 / 9 + 5 / 16);
    expect(epsilonFromLoss(gaussians, 1e-5)).toBeCloseTo(gaussianEpsilon(1e-5, mu), 4);
  });

  it("is nothing without steps", () => {
    expect(epsilonFromLoss(privacyLoss([]), 1e-6)).toBe(0);
    expect(epsilonFromLoss(lossOf(1, 0.1, 0), 1e-6)).toBe(0);
    expect(deltaFromLoss(privacyLoss([]), 0)).toBe(0);
  });

  it.each([
    [0, 0.1, 5, "noise multiplier"],
    [1, 0, 5, "sampling rate"],
    [1, 1.1, 5, "sampling rate"],
    [1, 0.1, -1, "steps"],
    [1, 0.1, 1.5, "steps"],
  ])("refuses σ %f, q %f, %f steps", (sigma, q, steps, reason) => {
    expect(() => lossOf(sigma, q, steps)).toThrow(reason);
  });
});

describe("pessimism", () => {
  it.each([
    [0.3, 1],
    [1, 1],
    [1, 10],
    [5, 100],
    [20, 100],
    [30, 300],
    [200, 10_000],
    [0.05, 1],
  ])("never promises more than the exact Gaussian, σ %f and %i steps", (sigma, steps) => {
    const loss = lossOf(sigma, 1, steps);
    const mu = separation(sigma, steps);
    for (const delta of [1e-3, 1e-5, 1e-6, 1e-8]) {
      const exact = gaussianEpsilon(delta, mu);
      const epsilon = epsilonFromLoss(loss, delta);
      expect(epsilon).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
      expect(epsilon - exact).toBeLessThan(1e-3 * Math.max(1, exact));
      expect(deltaFromLoss(loss, exact)).toBeGreaterThanOrEqual(delta * (1 - 1e-12));
    }
  });

  it.each([
    [5.8, 0.0004, 16_000],
    [2.6, 0.015, 1331],
    [0.6, 0.8, 45_000],
    [1.6, 1, 95_000],
  ])("loses no mass, σ %f, q %f, %i steps", (sigma, q, steps) => {
    const { remove, add } = lossOf(sigma, q, steps);
    for (const { masses, infinite } of [remove, add]) {
      expect(masses.reduce((sum, mass) => sum + mass, infinite)).toBeGreaterThanOrEqual(1);
      expect(infinite).toBeLessThan(1e-14 * (steps + 2));
    }
  });

  it("never promises more than a direct sum for one sampled step", () => {
    const [sigma, q] = [0.8, 0.1];
    const loss = lossOf(sigma, q, 1);
    for (const epsilon of [0.05, 0.5, 2, 4]) {
      // One step of removal is a Gaussian with ε moved by the mixture: (1−q)·N0 + q·N1 − e^ε·N0.
      const inner = Math.log1p(Math.expm1(epsilon) / q);
      const exact = q * gaussianDelta(inner, 1 / sigma);
      const delta = deltaFromLoss(loss, epsilon);
      expect(delta).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
      expect(delta).toBeLessThan(exact * (1 + 1e-4) + 1e-13);
    }
  });
});
