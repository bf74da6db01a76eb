import { describe, expect, it } from "vitest";
import { composeRdp, deltaFromRdp, epsilonFromRdp, orderGrid, rdpCurve, stepRdp } from "./rdp.js";

function relativeError(value: number, expected: number): number {
  return Math.abs(value / expected - 1);
}

const integerOrders = [2, 3, 4, 5, 8, 16] as const;

/** One step at each of the orders above. */
const integerValues = [
  {
    q: 0.01,
    sigma: 1,
    rdp: [1.71813422075e-4, 2.64637574585e-4, 3.63154048911e-4, 4.68667242169e-4, 8.93643907606e-4, 3.0878507837],
  },
  {
    q: 0.04,
    sigma: 1.5,
    rdp: [8.94996966874e-4, 1.37687239217e-3, 1.88534006445e-3, 2.42392469238e-3, 4.27158452674e-3, 0.16700927937],
  },
  {
    q: 0.1,
    sigma: 1,
    rdp: [0.0170368632362, 0.0317123003034, 0.0586726069601, 0.129877433284, 1.37836141135, 5.5439121709],
  },
];

/** [order, q, σ, ε(α) of one step], integrated with 30 digits by mpmath 1.3. */
const fractionalValues: readonly (readonly [number, number, number, number])[] = [
  [1.1, 0.01, 1, 9.24147108468696e-5],
  [1.5, 0.01, 2.5, 1.30014179437608e-5],
  [2.5, 0.01, 2.5, 2.17083611383625e-5],
  [3.9, 0.04, 1.5, 0.00183320219958386],
  [1.8, 0.2, 1, 0.0567606634153626],
  [9.6, 0.01, 1.1, 0.000746054432188729],
  [3.3, 0.05, 0.8, 0.0253612215246131],
  [10.9, 0.2, 0.5, 20.0279926014614],
  [1.1, 0.001, 3, 6.46283890019415e-8],
  [2.7, 0.7, 1.3, 0.485015942736806],
  [5.5, 0.5, 0.6, 6.79171355690442],
  [1.1, 0.5, 20, 0.000343878867337649],
  [7.3, 0.001, 0.5, 6.59577564227811],
];

/** [σ, q, steps, δ, ε, best order]. */
const composedValues: readonly (readonly [number, number, number, number, number, number])[] = [
  [1, 1, 1, 1e-5, 4.728507067, 5.4],
  [1, 1, 10, 1e-5, 19.053597532, 2.5],
  [2, 1, 100, 1e-5, 35.081754019, 1.9],
  [5, 1, 100, 1e-5, 10.725509696, 3.3],
  [10, 1, 200, 1e-6, 7.766237903, 4.5],
  [1.1, 0.01, 1000, 1e-5, 1.711770091, 9.6],
  [1, 0.01, 10_000, 1e-5, 6.712738297, 4.1],
  [1, 0.1, 100, 1e-5, 7.899255002, 3.2],
  [1, 0.2, 200, 1e-3, 18.441163234, 1.8],
  [0.8, 0.05, 100, 1e-6, 7.662755802, 3.3],
  [1.5, 0.04, 2250, 1e-5, 7.329111171, 3.9],
];

describe("RDP of one step", () => {
  it.each(integerValues)("has its published values at integer orders, q $q and σ $sigma", ({ q, sigma, rdp }) => {
    for (const [i, order] of integerOrders.entries()) {
      const value = stepRdp(order, { noiseMultiplier: sigma, samplingRate: q });
      expect(relativeError(value, rdp[i]!)).toBeLessThan(1e-10);
    }
  });

  it.each(fractionalValues)("agrees with integration at order %f, q %f, σ %f", (order, q, sigma, expected) => {
    expect(relativeError(stepRdp(order, { noiseMultiplier: sigma, samplingRate: q }), expected)).toBeLessThan(1e-8);
  });

  it("is the Gaussian's when everyone is in the sample, and nothing when nobody is", () => {
    expect(stepRdp(3.5, { noiseMultiplier: 2, samplingRate: 1 })).toBe(3.5 / 8);
    expect(stepRdp(3.5, { noiseMultiplier: 2, samplingRate: 0 })).toBe(0);
    expect(stepRdp(3.5, { noiseMultiplier: 0, samplingRate: 0.1 })).toBe(Number.POSITIVE_INFINITY);
    expect(stepRdp(Number.POSITIVE_INFINITY, { noiseMultiplier: 2, samplingRate: 0.1 })).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [0.4, 0.3],
    [1, 0.01],
    [6, 0.9],
    [30, 0.001],
  ])("grows with the order, across whole and broken ones, for σ %f and q %f", (noiseMultiplier, samplingRate) => {
    const curve = rdpCurve({ noiseMultiplier, samplingRate, steps: 1 });
    for (let i = 1; i < curve.length; i++) expect(curve[i]).toBeGreaterThan(curve[i - 1]! * (1 - 1e-9));
    expect(curve.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  });

  it("never exceeds what holds without sampling", () => {
    for (const order of orderGrid) {
      const sampled = stepRdp(order, { noiseMultiplier: 0.9, samplingRate: 0.999 });
      expect(sampled).toBeLessThanOrEqual(order / (2 * 0.81));
    }
  });
});

describe("RDP of many steps", () => {
  it("has the vector of another library at orders where that one is exact", () => {
    const orders = [2.5, 5, 50, 100];
    const curve = rdpCurve({ noiseMultiplier: 2.5, samplingRate: 0.01, steps: 50 }, orders);
    const published = [1.0854871e-3, 2.18075656e-3, 2.38460375e-2, 167.416308];
    for (const [i, value] of curve.entries()) expect(relativeError(value, published[i]!)).toBeLessThan(1e-4);
  });

  it.each(composedValues)(
    "σ %f, q %f, %i steps, δ %f",
    (noiseMultiplier, samplingRate, steps, delta, expected, best) => {
      const { epsilon, order } = epsilonFromRdp(rdpCurve({ noiseMultiplier, samplingRate, steps }), delta);
      expect(Math.abs(epsilon - expected)).toBeLessThan(1e-8);
      expect(order).toBe(best);
    },
  );

  it("reproduces the published 7.32911117143", () => {
    const curve = rdpCurve({ noiseMultiplier: 1.5, samplingRate: 0.04, steps: 2250 });
    expect(epsilonFromRdp(curve, 1e-5).epsilon).toBeCloseTo(7.32911117143, 9);
  });

  it("adds curves of different mechanisms", () => {
    const first = rdpCurve({ noiseMultiplier: 1, samplingRate: 0.1, steps: 5 });
    const second = rdpCurve({ noiseMultiplier: 2, samplingRate: 1, steps: 3 });
    const sum = composeRdp([first, second]);
    expect(sum[20]).toBe(first[20]! + second[20]!);
    expect(composeRdp([])).toEqual(orderGrid.map(() => 0));
  });
});

describe("conversion", () => {
  it("of a constant curve takes the largest order", () => {
    const orders = Array.from({ length: 31 }, (_, i) => i + 2);
    const { epsilon, order } = epsilonFromRdp(
      orders.map(() => 1.1),
      1e-5,
      orders,
    );
    expect(epsilon).toBeCloseTo(1.32783806176, 10);
    expect(order).toBe(32);
  });

  it("on dense orders gives one for σ 4.530877117 and δ 1e-6", () => {
    const orders = Array.from({ length: 98_999 }, (_, i) => 1 + (i + 1) / 1000);
    const curve = rdpCurve({ noiseMultiplier: 4.530877117, samplingRate: 1, steps: 1 }, orders);
    expect(epsilonFromRdp(curve, 1e-6, orders).epsilon).toBeCloseTo(1, 6);
  });

  it("gives zero, never less, where the distributions hardly differ", () => {
    expect(epsilonFromRdp([1e-14], 1e-5, [2]).epsilon).toBe(0);
    expect(epsilonFromRdp([0.001], 0.9, [2]).epsilon).toBe(0);
    expect(epsilonFromRdp([0.3], 1e-5, [Number.POSITIVE_INFINITY]).epsilon).toBe(0.3);
    expect(epsilonFromRdp([0.3], 1e-5, [1]).epsilon).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([0.5, 2, 7])("to δ is the inverse of that to ε, at %f", (epsilon) => {
    const curve = rdpCurve({ noiseMultiplier: 1.1, samplingRate: 0.01, steps: 1000 });
    expect(epsilonFromRdp(curve, deltaFromRdp(curve, epsilon)).epsilon).toBeCloseTo(epsilon, 9);
  });

  it("to δ knows pure guarantees and vacuous ones", () => {
    expect(deltaFromRdp([0.3], 0.3, [Number.POSITIVE_INFINITY])).toBe(0);
    expect(deltaFromRdp([5], 0.3, [2])).toBe(1);
  });
});
