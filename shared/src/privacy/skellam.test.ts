import { describe, expect, it } from "vitest";
import { gaussianEpsilon, separation } from "./gaussian.js";
import { epsilonFromRdp } from "./rdp.js";
import {
  noiseShareVariance,
  ringBoundWithNoise,
  roundedSensitivity,
  skellamRdpCurve,
  survivingNoiseMultiplier,
} from "./skellam.js";

const wholeOrders = [...Array.from({ length: 127 }, (_, i) => i + 2), 256];

describe("Skellam noise", () => {
  it.each([
    [12, 10, 20, 1e-5, 4.792477],
    [16, 10, 20, 1e-5, 4.752919],
    [20, 10, 20, 1e-5, 4.752731],
    [20, 20, 25, 1e-6, 2.421463],
  ])("at scale 2^%i, σ %i, 2^%i numbers and 100 rounds, δ %f, has ε %f", (bits, sigma, size, delta, expected) => {
    const mechanism = { scale: 2 ** bits, dimension: 2 ** size, noiseMultiplier: sigma, steps: 100 };
    const { epsilon } = epsilonFromRdp(skellamRdpCurve(mechanism, wholeOrders), delta, wholeOrders);
    expect(Math.abs(epsilon - expected)).toBeLessThan(1e-6);
  });

  it("never promises more than Gaussian noise does", () => {
    for (const bits of [2, 8, 16, 24]) {
      const mechanism = { scale: 2 ** bits, dimension: 1e6, noiseMultiplier: 10, steps: 100 };
      const { epsilon } = epsilonFromRdp(skellamRdpCurve(mechanism), 1e-5);
      expect(epsilon).toBeGreaterThan(gaussianEpsilon(1e-5, separation(10, 100)));
    }
  });

  it("takes the next whole order for a broken one", () => {
    const curve = skellamRdpCurve({ scale: 64, dimension: 10, noiseMultiplier: 3, steps: 2 }, [1.1, 2, 2.5, 3]);
    expect(curve[0]).toBe(curve[1]);
    expect(curve[2]).toBe(curve[3]);
  });

  it.each([
    [0, 1],
    [1, -1],
    [1, 0.5],
  ])("refuses σ %f and %f rounds", (noiseMultiplier, steps) => {
    expect(() => skellamRdpCurve({ scale: 8, dimension: 1, noiseMultiplier, steps })).toThrow("impossible");
  });
});

describe("rounding", () => {
  it("lengthens a coarse vector much, a fine one hardly", () => {
    expect(roundedSensitivity({ dimension: 1e6, scale: 1 }).l2).toBeGreaterThan(500);
    expect(roundedSensitivity({ dimension: 1e6, scale: 2 ** 24 }).l2).toBeLessThan(1 + 1e-6);
    expect(roundedSensitivity({ dimension: 1, scale: 100 }).l2).toBeLessThanOrEqual(1.01);
  });

  it("bounds the first norm by both the size and the whole numbers", () => {
    const { l1, l2 } = roundedSensitivity({ dimension: 1e6, scale: 2 ** 24 });
    expect(l1).toBeCloseTo(1000 * l2, 9);
    const coarse = roundedSensitivity({ dimension: 1e12, scale: 1 });
    expect(coarse.l1).toBeCloseTo(coarse.l2 ** 2, 3);
  });

  it("refuses what cannot be", () => expect(() => roundedSensitivity({ dimension: 0, scale: 1 })).toThrow("rounded"));
});

describe("noise shared among sites", () => {
  const cohort = { sites: 10, fewest: 7, colluders: 2 };

  it("reaches the target in the smallest sum without the colluders' part, and more in larger ones", () => {
    const share = noiseShareVariance({ noiseMultiplier: 6, scale: 1000 }, cohort);
    for (const survivors of [7, 8, 9, 10]) {
      const honest = Math.sqrt((survivors - 2) * share) / 1000;
      expect(survivingNoiseMultiplier(6, cohort, survivors)).toBeCloseTo(honest, 10);
      expect(honest).toBeGreaterThanOrEqual(6 * (1 - 1e-12));
    }
    expect(survivingNoiseMultiplier(6, cohort, 7)).toBe(6);
  });

  it("is refused for cohorts without honest noise and for sums that are never opened", () => {
    expect(() => noiseShareVariance({ noiseMultiplier: 1, scale: 1 }, { ...cohort, colluders: 7 })).toThrow("honest");
    expect(() => noiseShareVariance({ noiseMultiplier: 1, scale: 1 }, { ...cohort, fewest: 11 })).toThrow("honest");
    expect(() => survivingNoiseMultiplier(6, cohort, 6)).toThrow("not one");
  });

  it("leaves room in the ring for eight deviations", () => {
    const share = noiseShareVariance({ noiseMultiplier: 6, scale: 2 ** 20 }, cohort);
    const bound = ringBoundWithNoise(share, cohort);
    expect(10 * bound + 8 * Math.sqrt(10 * share)).toBeLessThanOrEqual(2 ** 31 - 1);
    expect(10 * (bound + 1) + 8 * Math.sqrt(10 * share)).toBeGreaterThan(2 ** 31 - 1);
    expect(() => ringBoundWithNoise(2 ** 62, cohort)).toThrow("fills the ring");
  });
});
