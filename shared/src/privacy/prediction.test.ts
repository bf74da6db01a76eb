import { describe, expect, it } from "vitest";
import { runConfigSchema } from "../config/run-config.js";
import { epsilonBy } from "./calibrate.js";
import { predictionLines, predictPrivacy } from "./prediction.js";
import { requireHope } from "./verdict.js";

const run = (privacy: object, changes: object = {}) =>
  runConfigSchema.parse({
    ...{ name: "tiny", modality: "dermatology", rounds: 20, monitor: { collapse: "off" } },
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method: { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 4 },
    optimizer: { learningRate: 0.001 },
    training: { batchSize: 64, stepsPerRound: 50 },
    privacy,
    ...changes,
  });

const patient = { mode: "patient", clip: 1, delta: 1e-6, leastPatients: 5000 };

describe("predictPrivacy", () => {
  it("is silent about a run without privacy", () => {
    expect(predictPrivacy(run({ mode: "none" }))).toBeUndefined();
  });

  it("says what all steps of the run cost a site with the fewest patients", () => {
    const predicted = predictPrivacy(run({ ...patient, noiseMultiplier: 1.1 }))!;
    const mechanism = { noiseMultiplier: 1.1, samplingRate: 64 / 5000, steps: 1000 };
    expect(predicted.epsilon).toBe(epsilonBy("rdp", mechanism, 1e-6));
    expect(predictionLines(predicted).join("\n")).toMatch(/ε at most \d+\.\d{3} at δ 0\.000001 .*\nnoise to signal: /);
  });

  it("finds the noise for a target, and never less", () => {
    const predicted = predictPrivacy(run({ ...patient, epsilon: 4 }))!;
    expect(predicted.epsilon).toBeLessThanOrEqual(4);
    expect(predicted.epsilon).toBeGreaterThan(3.99);
  });

  it("calls hopeless what only noise would come of", () => {
    const hopeless = run({ ...patient, epsilon: 0.01 }, { rounds: 1, training: { batchSize: 8, stepsPerRound: 5 } });
    expect(() => requireHope(predictPrivacy(hopeless)!.verdict)).toThrow(/private training would fail/);
  });
});
