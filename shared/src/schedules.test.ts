import { describe, expect, it } from "vitest";
import { type RunConfig, runConfigSchema } from "./config/run-config.js";
import { cosineAt, learningRateAt, weightDecayAt } from "./schedules.js";

const golden = [
  0.0, 0.00016666666666666666, 0.0003333333333333333, 0.0005, 0.0005, 0.000495205927460606, 0.00048100794336156604,
  0.00045795166826948506, 0.0004269231419060436, 0.00038911477313839074, 0.00034597951637508993, 0.0002991750353430241,
  0.0002505, 0.00020182496465697601, 0.0001550204836249101, 0.00011188522686160931, 7.40768580939564e-5,
  4.304833173051493e-5, 1.9992056638433958e-5, 5.794072539394007e-6,
];
const goldenMomentum = [
  0.996, 0.9960978869674096, 0.9963819660112501, 0.996824429495415, 0.9973819660112501, 0.998, 0.9986180339887499,
  0.9991755705045849, 0.9996180339887499, 0.9999021130325904,
];

function configWith(optimizer: Partial<RunConfig["optimizer"]>): RunConfig {
  return runConfigSchema.parse({
    name: "schedule",
    modality: "radiograph",
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method: { name: "simclr" },
    optimizer: { learningRate: 5e-4, finalLearningRate: 1e-6, warmupShare: 0.2, ...optimizer },
    training: { stepsPerRound: 5 },
    rounds: 4,
  });
}

describe("schedules", () => {
  it("follow the published cosine with warm-up", () => {
    const config = configWith({});
    for (const [step, value] of golden.entries()) {
      expect(Math.abs(learningRateAt(step, config) - value)).toBeLessThan(1e-15);
    }
  });

  it("follow the published cosine without warm-up", () => {
    goldenMomentum.forEach((value, step) => {
      expect(cosineAt(step, { base: 0.996, final: 1, steps: 10, warmupSteps: 0 })).toBeCloseTo(value, 14);
    });
  });

  it("keep the last value beyond the end", () => {
    const config = configWith({});
    expect(learningRateAt(1000, config)).toBe(learningRateAt(19, config));
    expect(learningRateAt(19, config)).toBeGreaterThan(1e-6);
  });

  it("start at zero with one warm-up step", () => {
    expect([0, 1].map((step) => cosineAt(step, { base: 2, final: 0, steps: 4, warmupSteps: 1 }))).toEqual([0, 2]);
  });

  it("keep weight decay constant unless a final one is given", () => {
    expect([0, 10, 19].map((step) => weightDecayAt(step, configWith({ weightDecay: 0.05 })))).toEqual([
      0.05, 0.05, 0.05,
    ]);
    const rising = configWith({ weightDecay: 0.04, finalWeightDecay: 0.4 });
    expect(weightDecayAt(0, rising)).toBeCloseTo(0.04, 12);
    expect(weightDecayAt(10, rising)).toBeCloseTo(0.22, 12);
  });
});
