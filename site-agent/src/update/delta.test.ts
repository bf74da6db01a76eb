import type { WeightConfig } from "@consilium/shared/config/site-weight.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { describe, expect, it } from "vitest";
import { exampleConfig } from "../test-plans.js";
import { clipNorm, contributionOf, localDelta } from "./delta.js";

describe("localDelta", () => {
  it("is trained minus global", () => {
    expect([...localDelta(new Float32Array([1, 2, 4]), new Float32Array([1, 3, 1]))]).toEqual([0, -1, 3]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses %d", (value) => {
    const subtract = () => localDelta(new Float32Array([0, value]), new Float32Array(2));
    expect(subtract).toThrow(expect.objectContaining({ code: "not-finite" }));
  });

  it("refuses vectors of different lengths", () => {
    expect(() => localDelta(new Float32Array(2), new Float32Array(3))).toThrow(/2 parameters/);
  });
});

describe("clipNorm", () => {
  it("scales a long delta down to the clip and leaves a short one", () => {
    const long = new Float32Array([30, 40]);
    expect(clipNorm(long, 5)).toBe(50);
    expect([...long]).toEqual([3, 4]);
    const short = new Float32Array([3, 4]);
    clipNorm(short, 6);
    expect([...short]).toEqual([3, 4]);
  });
});

describe("contributionOf", () => {
  const layout = placeParameters([
    { name: "a", shape: [2], initializer: { kind: "zeros" } },
    { name: "b", shape: [1], initializer: { kind: "zeros" } },
  ]);
  const update = { sampleCount: 7, meanLoss: 2, steps: 3, figures: { featureSpread: 0.5, unknown: 1 } };
  const plan = { l2Clip: 5 };
  const configWith = (strategy: WeightConfig["aggregation"]["strategy"]) => ({
    ...exampleConfig,
    aggregation: { ...exampleConfig.aggregation, strategy, weightCap: 10 },
  });
  const config = configWith({ name: "fedavg" });

  it("clips, and carries the tensors' sizes and the figures, with the norm before", () => {
    const contribution = contributionOf({ delta: new Float32Array([0, 6, 8]), update, plan, config, layout });
    const delta = new Float32Array([0, 3, 4]);
    const figures = { featureSpread: 0.5, updateNorm: 10 };
    expect(contribution).toEqual({ ...update, delta, tensorSizes: [2, 1], figures });
  });

  it("weighs one where sites count alike", () => {
    const alike = configWith({ name: "l-dawa" });
    const made = contributionOf({ delta: new Float32Array(3), update, plan, config: alike, layout });
    expect(made.sampleCount).toBe(1);
  });

  it("carries the noise of a run that hides sites", () => {
    const privacy = { mode: "site" as const, clip: 5, noiseMultiplier: 2, delta: 1e-6 };
    const made = contributionOf({ delta: new Float32Array(3), update, plan, config: { ...config, privacy }, layout });
    expect(made.noise).toEqual({ clip: 5, scale: 2 ** 20, shareVariance: (2 * 2 ** 20) ** 2 / 3 });
  });

  it("refuses a delta of another model", () => {
    const make = () => contributionOf({ delta: new Float32Array(2), update, plan, config, layout });
    expect(make).toThrow(expect.objectContaining({ code: "update-invalid" }));
  });
});
