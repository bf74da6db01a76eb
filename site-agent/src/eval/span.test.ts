import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { predictLogistic, trainLogistic } from "./logistic.js";
import { inSpanOf, standardisedBy } from "./span.js";

function drawn(count: number, width: number, seed: number) {
  const random = randomFor("span", seed);
  return { count, width, values: Float32Array.from({ length: count * width }, () => 3 + 2 * random.normal()) };
}

describe("inSpanOf()", () => {
  it("gives a classifier on wide features the same predictions in fewer columns", () => {
    const raw = drawn(12, 40, 1);
    const train = standardisedBy(raw, raw);
    const queries = standardisedBy(raw, drawn(9, 40, 2));
    const labels = Int32Array.from({ length: 12 }, (_, row) => row % 3);
    const spanned = inSpanOf(train, queries);
    expect(spanned.train.width).toBe(12);
    const wide = predictLogistic(trainLogistic(train, labels, { classes: 3 }), queries);
    const narrow = predictLogistic(trainLogistic(spanned.train, labels, { classes: 3 }), spanned.queries);
    for (let at = 0; at < wide.length; at++) expect(Math.abs(narrow[at]! - wide[at]!)).toBeLessThan(2e-4);
  });

  it("bears rows that repeat each other", () => {
    const { values } = drawn(2, 8, 3);
    const twice = { count: 4, width: 8, values: Float32Array.of(...values, ...values) };
    const { train, queries } = inSpanOf(twice, twice);
    expect([...train.values, ...queries.values].every(Number.isFinite)).toBe(true);
  });

  it("leaves narrow features alone", () => {
    const train = drawn(9, 4, 4);
    expect(inSpanOf(train, train).train).toBe(train);
  });
});

describe("standardisedBy()", () => {
  it("gives every column mean zero and deviation one, and constant columns zero", () => {
    const raw = { count: 3, width: 2, values: Float32Array.of(1, 5, 2, 5, 3, 5) };
    const { values } = standardisedBy(raw, raw);
    const one = Math.sqrt(3 / 2);
    expect([...values].map((value) => Math.round(value * 1e6) / 1e6)).toEqual(
      [-one, 0, 0, 0, one, 0].map((value) => Math.round(value * 1e6) / 1e6),
    );
  });
});
