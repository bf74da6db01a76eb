import { describe, expect, it } from "vitest";
import { initialVector } from "./initialize.js";
import { type Initializer, placeParameters } from "./layout.js";

const spec = (name: string, initializer: Initializer, shape: readonly number[] = [100, 50]) => ({
  name,
  shape,
  initializer,
});
const spread = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

describe("initialVector", () => {
  it("fills each tensor by its initializer", () => {
    const layout = placeParameters([
      spec("zeros", { kind: "zeros" }, [3]),
      spec("ones", { kind: "ones" }, [2]),
      spec("constant", { kind: "constant", value: 0.25 }, [1]),
    ]);
    expect(Array.from(initialVector(layout, 1))).toEqual([0, 0, 0, 1, 1, 0.25]);
  });

  it("cuts the truncated normal at two standard deviations", () => {
    const values = initialVector(placeParameters([spec("t", { kind: "truncated-normal", std: 0.02 })]), 1);
    expect(values.every((value) => Math.abs(value) <= 0.04)).toBe(true);
    // A standard normal cut at ±2 has a standard deviation of 0.8796.
    expect(spread(values)).toBeCloseTo(0.02 * 0.8796, 3);
  });

  it("draws a normal of the given spread", () => {
    expect(spread(initialVector(placeParameters([spec("n", { kind: "normal", std: 0.02 })]), 1))).toBeCloseTo(0.02, 3);
  });

  it("takes Xavier's range over the flattened tensor", () => {
    const values = initialVector(placeParameters([spec("x", { kind: "xavier-uniform" }, [64, 3, 8, 8])]), 1);
    const limit = Math.sqrt(6 / (64 + 192));
    expect(values.every((value) => Math.abs(value) <= limit)).toBe(true);
    expect(spread(values)).toBeCloseTo(limit / Math.sqrt(3), 2);
  });

  it("depends on seed and name and on nothing around the tensor", () => {
    const normal: Initializer = { kind: "normal", std: 1 };
    const alone = initialVector(placeParameters([spec("a", normal, [8])]), 5);
    const together = initialVector(placeParameters([spec("b", normal, [8]), spec("a", normal, [8])]), 5);
    expect(together.subarray(8)).toEqual(alone);
    expect(together.subarray(0, 8)).not.toEqual(alone);
    expect(initialVector(placeParameters([spec("a", normal, [8])]), 6)).not.toEqual(alone);
  });
});
