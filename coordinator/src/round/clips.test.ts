import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { coordinateClip } from "./clips.js";

const config = runConfigSchema.parse({
  name: "run",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
  method: { name: "simclr" },
  optimizer: { learningRate: 1e-3, finalLearningRate: 1e-3, weightDecay: 0, warmupShare: 0, beta1: 0.9, beta2: 0.99 },
  training: { stepsPerRound: 10 },
  rounds: 3,
});

describe("coordinateClip()", () => {
  it("is the sum of the largest steps that AdamW can make", () => {
    // (1 - 0.9) / sqrt(1 - 0.99) is 1: ten steps of the learning rate, and a fifth more.
    expect(coordinateClip(config, 0)).toBeCloseTo(1.2 * 10 * 1e-3, 8);
  });

  it("grows with the worst case of the moments and with decay", () => {
    const spiky = { ...config, optimizer: { ...config.optimizer, beta2: 0.9999 } };
    expect(coordinateClip(spiky, 0)).toBeCloseTo(1.2 * 10 * 1e-3 * 10, 6);
    const decayed = { ...config, optimizer: { ...config.optimizer, weightDecay: 0.5 } };
    expect(coordinateClip(decayed, 0)).toBeCloseTo(1.2 * 10 * 1e-3 * (1 + 0.5 * 4), 8);
  });

  it("is never zero, and survives 32 bits", () => {
    const still = { ...config, optimizer: { ...config.optimizer, learningRate: 0, finalLearningRate: 0 } };
    expect(coordinateClip(still, 0)).toBe(Math.fround(1e-8));
    expect(coordinateClip(config, 0)).toBe(Math.fround(coordinateClip(config, 0)));
  });
});
