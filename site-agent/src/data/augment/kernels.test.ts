import { describe, expect, it } from "vitest";
import { bytesAt, floatsAt, integersAt, kernels, place } from "./kernels.js";

/** Numbers that repeat late. */
const numbers = (count: number, scale: number) =>
  Array.from({ length: count }, (_, at) => ((at * 37 + 11) % 101) * scale);

describe("place", () => {
  it("keeps parts apart, with room behind each, and grows with what is asked for", () => {
    const at = place({ small: 1, large: 5_000_000, last: 16 });
    expect(at.small % 16).toBe(0);
    expect(at.large - at.small).toBeGreaterThanOrEqual(65);
    expect(at.last - at.large).toBeGreaterThanOrEqual(5_000_064);
    expect(bytesAt(at.last, 16 + 64)).toHaveLength(80);
  });
});

describe("kernels", () => {
  it.each([1, 3, 4, 9])("sums %i rows of bytes", (taps) => {
    const values = 48;
    const at = place({ rows: values * taps, weights: 4 * taps, line: 4 * values });
    const rows = numbers(values * taps, 2);
    const weights = numbers(taps, 0.01).map((weight, tap) => (tap % 2 === 0 ? weight : -weight));
    bytesAt(at.rows, rows.length).set(rows);
    floatsAt(at.weights, taps).set(weights);
    kernels.sumRows(at.rows, values, at.weights, taps, at.line, values);
    for (const [value, sum] of floatsAt(at.line, values).entries()) {
      const expected = weights.reduce((total, weight, tap) => total + weight * rows[tap * values + value]!, 0);
      expect(sum).toBeCloseTo(expected, 3);
    }
  });

  it("writes a line backwards, cut to 0 … 1, and nothing beside it", () => {
    const at = place({ line: 48, starts: 8, counts: 8, weights: 16, into: 40 });
    floatsAt(at.line, 12).set([0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9, 0.8, 0.4, 0, 0, 0]);
    integersAt(at.starts, 2).set([0, 12]);
    integersAt(at.counts, 2).set([1, 2]);
    floatsAt(at.weights, 4).set([1, Number.NaN, 2, -0.5]);
    floatsAt(at.into, 10).fill(7);
    kernels.writeLine(at.line, at.starts, at.counts, at.weights, 8, 2, at.into + 4 + 12, -12);
    const expected = [7, 0.55, 0.8, 1, 0.1, 0.2, 0.3, 7, 7, 7];
    for (const [index, value] of expected.entries()) expect(floatsAt(at.into, 10)[index]).toBeCloseTo(value, 6);
  });

  it.each([1, 2, 5])("sums %i pairs around a centre", (pairs) => {
    const source = numbers(40, 0.01);
    const at = place({ source: 160, places: 4 * (2 * pairs + 1), weights: 4 * (pairs + 1), into: 32 });
    floatsAt(at.source, 40).set(source);
    const places = Array.from({ length: 2 * pairs + 1 }, (_, index) => 3 * index);
    integersAt(at.places, places.length).set(places.map((value) => 4 * value));
    const weights = numbers(pairs + 1, 0.02);
    floatsAt(at.weights, pairs + 1).set(weights);
    kernels.sumPairs(at.source, at.places, at.weights, pairs, at.into, 8);
    for (const [value, sum] of floatsAt(at.into, 8).entries()) {
      let expected = weights[0]! * source[value]!;
      for (let pair = 1; pair <= pairs; pair++) {
        expected += weights[pair]! * (source[places[2 * pair - 1]! + value]! + source[places[2 * pair]! + value]!);
      }
      expect(sum).toBeCloseTo(expected, 5);
    }
  });
});
