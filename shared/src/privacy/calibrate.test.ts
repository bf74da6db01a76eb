import { describe, expect, it } from "vitest";
import { type Accountant, epsilonBy, noiseMultiplierFor } from "./calibrate.js";
import { gaussianNoiseMultiplier } from "./gaussian.js";

/** [accountant, steps, σ], published for ε 8, δ 1e-5, q 0.04 by a search that stops within 0.01 of ε. */
const published: readonly (readonly [Accountant, number, number])[] = [
  ["rdp", 2250, 1.416],
  ["rdp", 2000, 1.3562],
  ["pld", 2250, 1.34765625],
  ["pld", 2000, 1.2915],
];

describe("calibration", () => {
  it.each(published)("by %s for %i steps needs at most, and hardly less than, σ %f", (accountant, steps, sigma) => {
    const target = { epsilon: 8, delta: 1e-5, samplingRate: 0.04, steps };
    const noiseMultiplier = noiseMultiplierFor(target, accountant);
    expect(noiseMultiplier).toBeLessThanOrEqual(sigma + 5e-5);
    expect(noiseMultiplier).toBeGreaterThan(sigma - 3e-3);
    expect(epsilonBy(accountant, { noiseMultiplier, samplingRate: 0.04, steps }, 1e-5)).toBeLessThanOrEqual(8);
  });

  it.each([
    [0.1, 1e-6, 0.001, 1],
    [1, 1e-5, 0.01, 500],
    [3, 1e-7, 1, 20],
    [50, 1e-5, 0.5, 1000],
    [0.02, 1e-9, 1, 10_000],
  ])("meets ε %f, δ %f, q %f, %i steps, and a little less noise does not", (epsilon, delta, samplingRate, steps) => {
    const noiseMultiplier = noiseMultiplierFor({ epsilon, delta, samplingRate, steps }, "rdp");
    const at = (noise: number) => epsilonBy("rdp", { noiseMultiplier: noise, samplingRate, steps }, delta);
    expect(at(noiseMultiplier)).toBeLessThanOrEqual(epsilon);
    expect(at(noiseMultiplier / (1 + 2e-5))).toBeGreaterThan(epsilon);
  });

  it("by loss distributions needs the exact noise without sampling", () => {
    const exact = gaussianNoiseMultiplier({ epsilon: 2, delta: 1e-6, steps: 50 });
    const found = noiseMultiplierFor({ epsilon: 2, delta: 1e-6, samplingRate: 1, steps: 50 }, "pld");
    expect(found).toBeGreaterThan(exact * (1 - 1e-9));
    expect(found).toBeLessThan(exact * (1 + 1e-4));
  });

  it("by loss distributions reaches an ε that no Rényi order does", () => {
    const target = { epsilon: 0.01, delta: 1e-9, samplingRate: 1, steps: 100 };
    expect(() => noiseMultiplierFor(target, "rdp")).toThrow("no noise");
    expect(noiseMultiplierFor(target, "pld") / gaussianNoiseMultiplier(target)).toBeCloseTo(1, 3);
  });

  it("finds next to no noise where none is needed", () => {
    expect(noiseMultiplierFor({ epsilon: 1, delta: 1e-5, samplingRate: 0.1, steps: 0 }, "rdp")).toBe(0.01);
  });

  it.each([
    [{ epsilon: 0 }, "epsilon"],
    [{ epsilon: Number.NaN }, "epsilon"],
    [{ delta: 0 }, "delta"],
    [{ samplingRate: 2 }, "sampling rate"],
    [{ steps: -3 }, "steps"],
    [{ epsilon: 1e-9, delta: 1e-12, steps: 1e9, samplingRate: 1 }, "no noise"],
  ])("refuses %j", (part, reason) => {
    const target = { epsilon: 1, delta: 1e-5, samplingRate: 0.1, steps: 10, ...part };
    expect(() => noiseMultiplierFor(target, "rdp")).toThrow(reason);
  });

  /** [patients, batch, epochs, δ, ε] with σ 1. */
  it.each([
    [10_000, 256, 20, 1e-5, 4.51],
    [10_000, 256, 50, 1e-5, 7.36],
    [50_000, 512, 50, 1e-6, 4.8],
    [2000, 128, 20, 1e-5, 7.73],
  ])("%i patients, batches of %i, %i epochs cost at δ %f about ε %f", (patients, batch, epochs, delta, expected) => {
    const steps = Math.round((epochs * patients) / batch);
    const epsilon = epsilonBy("pld", { noiseMultiplier: 1, samplingRate: batch / patients, steps }, delta);
    expect(Math.abs(epsilon - expected)).toBeLessThan(0.02);
  });
});
