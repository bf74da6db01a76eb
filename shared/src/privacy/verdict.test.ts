import { describe, expect, it } from "vitest";
import { refuseHopeless, verdictOn } from "./verdict.js";

describe("the verdict on private training", () => {
  it.each([
    [20, 22e6, 1407, "hopeless"],
    [500, 22e6, 56.3, "hopeless"],
    [500, 1e5, 3.8, "doubtful"],
    [500, 1e3, 0.38, "workable"],
  ])("of %i sites and %f numbers at σ 6 and 100 rounds: noise %f", (contributors, dimension, ratio, kind) => {
    const verdict = verdictOn({ noiseMultiplier: 6, contributors, dimension, steps: 100 });
    expect(verdict.noisePerStep / ratio).toBeCloseTo(1, 2);
    expect(verdict.noisePerRun).toBeCloseTo(verdict.noisePerStep / 10, 12);
    expect(verdict.kind).toBe(kind);
  });

  it("counts the noise of each site of a mean, which averages out", () => {
    const alone = verdictOn({ noiseMultiplier: 1, contributors: 256, dimension: 22e6, steps: 800 });
    const many = verdictOn({ noiseMultiplier: 1, contributors: 256, dimension: 22e6, steps: 800, averagedSites: 4 });
    expect(many.noisePerStep).toBeCloseTo(alone.noisePerStep / 2, 12);
  });

  it("names the numbers", () => {
    expect(verdictOn({ noiseMultiplier: 6, contributors: 20, dimension: 22e6, steps: 100 }).reason).toBe(
      "noise is 1407× the clip in one step, 141× over 100 steps: it exceeds all that the run can learn",
    );
  });

  it("refuses hopeless settings only", () => {
    const mean = { noiseMultiplier: 6, contributors: 500, dimension: 1e5, steps: 100 };
    expect(refuseHopeless(mean).kind).toBe("doubtful");
    expect(() => refuseHopeless({ ...mean, contributors: 20 })).toThrow("private training would fail");
  });

  it.each(["noiseMultiplier", "contributors", "dimension", "steps"])("refuses a %s of zero", (name) => {
    const mean = { noiseMultiplier: 1, contributors: 1, dimension: 1, steps: 1, [name]: 0 };
    expect(() => verdictOn(mean)).toThrow(`${name} is 0`);
  });
});
