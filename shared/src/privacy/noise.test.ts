import { describe, expect, it } from "vitest";
import { addGaussianNoise, noiseGrid, noiseStream } from "./noise.js";
import { normalCdf } from "./special.js";

function normals(seed: number, count: number): Float64Array {
  const values = new Float64Array(count);
  noiseStream(new Uint8Array(32).fill(seed)).fill(values);
  return values;
}

function moment(values: Float64Array, power: number): number {
  return values.reduce((sum, value) => sum + value ** power, 0) / values.length;
}

/** √n·sup|F_n − Φ|, above 1.95 with probability 0.001. */
function kolmogorovSmirnov(values: Float64Array): number {
  const n = values.length;
  const gaps = values.toSorted().map((value, i) => {
    const expected = normalCdf(value);
    return Math.max((i + 1) / n - expected, expected - i / n);
  });
  return Math.sqrt(n) * gaps.reduce((a, b) => Math.max(a, b));
}

/** A² for a known distribution, above 6 with probability 0.001; it weighs the tails. */
function andersonDarling(values: Float64Array): number {
  const n = values.length;
  const sorted = values.toSorted();
  const sum = sorted.reduce((total, value, i) => {
    return total + (2 * i + 1) * (Math.log(normalCdf(value)) + Math.log(normalCdf(-sorted[n - 1 - i]!)));
  }, 0);
  return -n - sum / n;
}

describe("normal values from a keystream", () => {
  it.each([1, 2, 3])("have the normal distribution, key %i", (seed) => {
    const values = normals(seed, 200_000);
    expect(kolmogorovSmirnov(values)).toBeLessThan(1.95);
    expect(andersonDarling(values)).toBeLessThan(6);
  });

  it("have its moments", () => {
    const values = normals(4, 1_000_000);
    expect(Math.abs(moment(values, 1))).toBeLessThan(0.005);
    expect(Math.abs(moment(values, 2) - 1)).toBeLessThan(0.008);
    expect(Math.abs(moment(values, 3))).toBeLessThan(0.02);
    expect(Math.abs(moment(values, 4) - 3)).toBeLessThan(0.06);
  });

  it("reach into the tails as often as they should", () => {
    const values = normals(5, 1_000_000);
    const beyond = values.filter((value) => Math.abs(value) > 4).length;
    expect(Math.abs(beyond - 63)).toBeLessThan(40);
  });

  it("do not depend on their neighbours", () => {
    const values = normals(6, 400_000);
    for (const distance of [1, 2, 16_384]) {
      const product = values.subarray(distance).map((value, i) => value * values[i]!);
      expect(Math.abs(moment(product, 1))).toBeLessThan(0.008);
      const squares = values.subarray(distance).map((value, i) => (value ** 2 - 1) * (values[i]! ** 2 - 1));
      expect(Math.abs(moment(squares, 1))).toBeLessThan(0.02);
    }
  });

  it("are the key's, never used twice, whatever the portions", () => {
    const whole = normals(9, 50_000);
    const stream = noiseStream(new Uint8Array(32).fill(9));
    const parts = [20_000, 30_000].map((length) => {
      const part = new Float64Array(length);
      stream.fill(part);
      return [...part];
    });
    expect(parts.flat()).toEqual([...whole]);
    expect(new Set(whole).size).toBe(50_000);
    expect(normals(10, 4)).not.toEqual(normals(9, 4));
    expect(normals(9, 3)).toEqual(whole.slice(0, 3));
  });
});

describe("noise on a sum", () => {
  it.each([Float32Array, Float64Array])("has the deviation asked for, around the values, in %o", (Values) => {
    const values = new Values(100_000).fill(3.7);
    addGaussianNoise(values, 0.25, noiseStream(new Uint8Array(32).fill(11)));
    const normal = Float64Array.from(values, (value) => (value - 3.7) / 0.25);
    expect(kolmogorovSmirnov(normal)).toBeLessThan(1.95);
    expect(Math.abs(moment(normal, 2) - 1)).toBeLessThan(0.03);
  });

  it("leaves multiples of the grid only, whatever bits the values had", () => {
    const values = Float64Array.from({ length: 1000 }, (_, i) => Math.PI * i * 1e-3);
    addGaussianNoise(values, 0.1, noiseStream(new Uint8Array(32).fill(12)));
    const grid = noiseGrid(0.1);
    expect(values.every((value) => Number.isInteger(value / grid))).toBe(true);
    expect(grid).toBe(2 ** -16);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses the deviation %f", (deviation) => {
    expect(() => addGaussianNoise(new Float32Array(2), deviation, noiseStream(new Uint8Array(32)))).toThrow("positive");
  });

  it("refuses a sum that is not finite, and leaves it as it was", () => {
    const values = Float32Array.of(1, Number.NaN, 2);
    expect(() => addGaussianNoise(values, 1, noiseStream(new Uint8Array(32)))).toThrow("finite");
    expect([...values]).toEqual([1, Number.NaN, 2]);
  });
});
