import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { describe, expect, it } from "vitest";
import { tensorClips } from "./clips.js";

const configOf = (optimizer: object) =>
  runConfigSchema.parse({
    name: "run",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
    method: { name: "simclr" },
    optimizer: { learningRate: 1e-3, finalLearningRate: 1e-3, weightDecay: 0, warmupShare: 0, ...optimizer },
    training: { stepsPerRound: 10 },
    rounds: 3,
  });

const layout = placeParameters([
  { name: "weight", shape: [8, 2], initializer: { kind: "xavier-uniform" } },
  { name: "bias", shape: [8], initializer: { kind: "zeros" } },
  { name: "gate", shape: [1, 4], initializer: { kind: "zeros" } },
]);

describe("tensorClips() of AdamW", () => {
  const clipOf = (optimizer: object) => {
    const clips = tensorClips(configOf({ beta1: 0.9, beta2: 0.99, ...optimizer }), layout, 0);
    expect(new Set(clips).size).toBe(1);
    return clips[0]!;
  };

  it("is the sum of the largest steps", () => {
    // (1 - 0.9) / sqrt(1 - 0.99) is 1: ten steps of the learning rate, and a fifth more.
    expect(clipOf({})).toBeCloseTo(1.2 * 10 * 1e-3, 8);
  });

  it("grows with the worst case of the moments and with decay", () => {
    expect(clipOf({ beta2: 0.9999 })).toBeCloseTo(1.2 * 10 * 1e-3 * 10, 6);
    expect(clipOf({ weightDecay: 0.5 })).toBeCloseTo(1.2 * 10 * 1e-3 * (1 + 0.5 * 4), 8);
  });

  it("is never zero, and survives 32 bits", () => {
    expect(clipOf({ learningRate: 0, finalLearningRate: 0 })).toBe(Math.fround(1e-8));
    expect(clipOf({})).toBe(Math.fround(clipOf({})));
  });
});

describe("tensorClips() of LARS", () => {
  const clipsOf = (optimizer: object) => tensorClips(configOf({ name: "lars", ...optimizer }), layout, 0);
  const steps = 1.2 * 10 * 1e-3;

  it("follows the norm of a tensor that is adapted and the clipped gradient of others", () => {
    const [weight, bias, gate] = clipsOf({ gradientClip: 3, momentum: 0.8, trustCoefficient: 0.01 });
    // A norm of at most 0.5 × 4, and five times the largest addend in the momentum.
    expect(weight).toBeCloseTo(steps * 5 * 0.01 * 2, 8);
    expect(bias).toBeCloseTo(steps * 5 * 3, 6);
    expect(gate).toBe(bias);
  });

  it("falls back to the norm of a site's update, also in a step of rate zero", () => {
    const clips = clipsOf({ warmupShare: 0.5 });
    expect(clips[0]).toBeLessThan(1e-3);
    expect(clips.slice(1)).toEqual([1200, 1200]);
    expect(clipsOf({ learningRate: 1e6, gradientClip: 3 })[0]).toBe(1200);
  });
});
