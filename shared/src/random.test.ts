import { describe, expect, it } from "vitest";
import { permutation, randomFor } from "./random.js";

const moments = (values: number[]) => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
};

describe("randomFor()", () => {
  it("depends on every part of its name and on nothing else", () => {
    const draw = (...name: (string | number)[]) => randomFor(...name).uniform();
    expect(draw(1, "site", 2)).toBe(draw(1, "site", 2));
    expect(draw(1, "site", 2)).not.toBe(draw(1, "site", 3));
    expect(draw("ab", "c")).not.toBe(draw("a", "bc"));
  });

  it("draws uniform and normal values with the right moments", () => {
    const random = randomFor("moments");
    const uniform = moments(Array.from({ length: 20_000 }, () => random.uniform()));
    expect(uniform.mean).toBeCloseTo(0.5, 1);
    expect(uniform.variance).toBeCloseTo(1 / 12, 2);
    const normal = moments(Array.from({ length: 20_000 }, () => random.normal()));
    expect(Math.abs(normal.mean)).toBeLessThan(0.03);
    expect(Math.abs(normal.variance - 1)).toBeLessThan(0.05);
  });
});

describe("permutation()", () => {
  it("holds each index once and differs from the identity", () => {
    const order = permutation(100, randomFor("order"));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
  });
});
