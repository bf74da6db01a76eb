import { describe, expect, it } from "vitest";
import { minimise } from "./minimise.js";

describe("minimise", () => {
  it("finds the bottom of Rosenbrock's valley", () => {
    const valley = (point: Float64Array, gradient: Float64Array) => {
      const [x, y] = [point[0]!, point[1]!];
      gradient[0] = -400 * x * (y - x * x) - 2 * (1 - x);
      gradient[1] = 200 * (y - x * x);
      return 100 * (y - x * x) ** 2 + (1 - x) ** 2;
    };
    const found = minimise(valley, Float64Array.of(-1.2, 1), { maxIterations: 200, gradientTolerance: 1e-8 });
    expect(found.converged).toBe(true);
    expect(found.point[0]).toBeCloseTo(1, 6);
    expect(found.point[1]).toBeCloseTo(1, 6);
  });

  it("stays at a minimum and stops at its limit", () => {
    const bowl = (point: Float64Array, gradient: Float64Array) => {
      gradient[0] = 2 * point[0]!;
      return point[0]! ** 2;
    };
    expect(minimise(bowl, Float64Array.of(0), { maxIterations: 5, gradientTolerance: 1e-8 }).iterations).toBe(0);
    expect(minimise(bowl, Float64Array.of(3), { maxIterations: 0, gradientTolerance: 1e-8 }).converged).toBe(false);
  });
});
