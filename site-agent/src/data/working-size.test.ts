import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "./data-settings.js";
import { withWorkingSize, workingSizeFor } from "./working-size.js";

const configOf = (method: object, augmentation: object = {}) =>
  runConfigSchema.parse({
    name: "size",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 64, patchSize: 8 },
    method,
    augmentation,
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });

describe("workingSizeFor", () => {
  it("is twice the image size", () => {
    expect(workingSizeFor(configOf({ name: "mae" }))).toBe(128);
    expect(workingSizeFor(configOf({ name: "dino", localSize: 24 }))).toBe(128);
  });

  it("is more where the smallest of the small crops would be enlarged", () => {
    // A twentieth of 179² pixels is 40².
    expect(workingSizeFor(configOf({ name: "dino", localSize: 40 }))).toBe(179);
    const augmentation = { localCropScale: [0.01, 0.3] };
    expect(workingSizeFor(configOf({ name: "dino", localSize: 24 }, augmentation))).toBe(240);
  });

  it("gives way to what a site says", () => {
    const settings = dataSettingsSchema.parse({ path: "images" });
    const config = configOf({ name: "mae" });
    expect(withWorkingSize(settings, config).workingSize).toBe(128);
    expect(withWorkingSize({ ...settings, workingSize: 50 }, config).workingSize).toBe(50);
  });
});
