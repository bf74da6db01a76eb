import { describe, expect, it } from "vitest";
import { serverOptimizer } from "./server-optimizer.js";

describe("fedavg", () => {
  it("adds the mean delta, also in place", () => {
    const previous = new Float32Array([1, 2]);
    serverOptimizer("fedavg").apply(previous, new Float32Array([0.5, -1]), previous);
    expect([...previous]).toEqual([1.5, 1]);
  });
});
