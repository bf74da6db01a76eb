import { describe, expect, it } from "vitest";
import { runConfigSchema } from "../config/run-config.js";
import { checkpointLayout } from "../params/checkpoint-layout.js";
import { planTerms } from "../plan/terms.js";
import { noiseCohort, siteBudget, siteMechanism, siteNoise, skellamEpsilon } from "./site-mechanism.js";

const run = (privacy: object, changes: object = {}) =>
  runConfigSchema.parse({
    ...{ name: "tiny", modality: "dermatology", rounds: 20, monitor: { collapse: "off" } },
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
    method: { name: "simclr", projectionDim: 8 },
    optimizer: { learningRate: 0.001 },
    cohort: { minSites: 5, maxSites: 10, colluders: 1 },
    privacy: { mode: "site", clip: 0.3, delta: 1e-6, ...privacy },
    ...changes,
  });

const privacyOf = (config: ReturnType<typeof run>) => {
  if (config.privacy.mode !== "site") throw new Error("not a run that hides sites");
  return config.privacy;
};

const dimension = 1000;

describe("the noise of a run that hides sites", () => {
  it("is each site's share of the smallest sum's, colluders' not counted", () => {
    const config = run({ noiseMultiplier: 2 });
    expect(noiseCohort(config)).toEqual({ sites: 10, fewest: 5, colluders: 1 });
    const noise = siteNoise(config, dimension)!;
    expect(noise).toEqual({ clip: Math.fround(0.3), scale: 2 ** 20, shareVariance: (2 * 2 ** 20) ** 2 / 4 });
    expect(siteNoise(run({}, { privacy: { mode: "none" } }), dimension)).toBeUndefined();
  });

  it("never sums fewer sites than open a sum", () => {
    expect(noiseCohort(run({ noiseMultiplier: 1 }, { cohort: { minSites: 6, colluders: 4 } })).fewest).toBe(6);
    expect(noiseCohort(run({ noiseMultiplier: 1 }, { cohort: { minSites: 2 } })).fewest).toBe(2);
  });

  it.each([1, 30, 300, 3000, 30_000])("with σ %d leaves room for all updates and 8σ of all their noise", (sigma) => {
    const noise = siteNoise(run({ noiseMultiplier: sigma }), dimension)!;
    const { scale, shareVariance } = noise;
    expect(10 * (scale + 1) + 8 * Math.sqrt(10 * shareVariance)).toBeLessThan(2 ** 31);
    expect(shareVariance).toBeLessThanOrEqual(2 ** 50);
  });

  it("is refused where it fills the ring", () => {
    const config = run({ noiseMultiplier: 1e6 }, { cohort: { minSites: 3, maxSites: 128 } });
    const fill = () => siteNoise({ ...config, privacy: { ...privacyOf(config), noiseMultiplier: 1e9 } }, dimension);
    expect(fill).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(fill).toThrow(/does not fit the masked sum/);
  });

  it("meets its ε and no more than a part in 10⁴ below", () => {
    const config = run({ epsilon: 6 });
    const cost = skellamEpsilon(siteMechanism(config, privacyOf(config), dimension), 1e-6);
    expect(cost).toBeLessThanOrEqual(6);
    expect(cost).toBeGreaterThan(6 * (1 - 1e-4));
  });

  it("spends at most its ε, what its rounds cost, or what it names", () => {
    const budgetOf = (privacy: object) => {
      const config = run(privacy);
      return siteBudget(config, privacyOf(config), dimension);
    };
    const config = run({ noiseMultiplier: 4 });
    expect(budgetOf({ epsilon: 6 })).toBe(6);
    expect(budgetOf({ epsilon: 6, maxEpsilon: 7 })).toBe(7);
    const all = skellamEpsilon(siteMechanism(config, privacyOf(config), dimension), 1e-6);
    expect(budgetOf({ noiseMultiplier: 4 })).toBe(all);
  });

  it("stands in the plan: one norm for the whole update, and no lane but the weight", () => {
    const config = run({ noiseMultiplier: 2 });
    const terms = planTerms(config, checkpointLayout(config), 3);
    expect(new Set(terms.tensorClips)).toEqual(new Set([Math.fround(0.3)]));
    expect(terms).toMatchObject({ l2Clip: Math.fround(0.3), weightCap: 1, lanes: ["weight"] });
  });
});
