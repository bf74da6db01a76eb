import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { augmentationRecipe } from "./recipe.js";

function recipeOf(changes: { modality?: string; method?: string; imageSize?: number; augmentation?: object } = {}) {
  const { modality = "dermatology", method = "simclr", imageSize = 224, augmentation = {} } = changes;
  return augmentationRecipe(
    runConfigSchema.parse({
      name: "recipe",
      modality,
      model: { architecture: "vit-nano", imageSize, patchSize: 4 },
      method: { name: method },
      augmentation,
      optimizer: { learningRate: 1e-3 },
      rounds: 1,
    }),
  );
}

describe("augmentationRecipe", () => {
  it.each(["dermatology", "pathology"])("turns and flips %s", (modality) => {
    for (const method of ["simclr", "mae"]) {
      expect(recipeOf({ modality, method })).toMatchObject({ horizontalFlip: 0.5, verticalFlip: 0.5, quarterTurns: 1 });
    }
  });

  it("keeps radiographs upright and without colour changes", () => {
    const recipe = recipeOf({ modality: "radiograph" });
    expect(recipe).toMatchObject({ horizontalFlip: 0, verticalFlip: 0, quarterTurns: 0, grayscale: 0 });
    expect(recipe.jitter).toMatchObject({ saturation: 0, hue: 0 });
    expect(recipe.jitter.brightness).toBeGreaterThan(0);
  });

  it("blurs only from 96 pixels on, unless asked to", () => {
    expect(recipeOf({ imageSize: 48 })).toMatchObject({ blur: 0, cropScale: [0.2, 1] });
    expect(recipeOf({ imageSize: 96 })).toMatchObject({ blur: 1, cropScale: [0.08, 1] });
    expect(recipeOf({ imageSize: 48, augmentation: { blur: 0.3 } }).blur).toBe(0.3);
  });

  it("only crops for a masked autoencoder", () => {
    const recipe = recipeOf({ method: "mae" });
    expect(recipe).toMatchObject({ cropScale: [0.2, 1], interpolation: "bicubic", grayscale: 0, blur: 0 });
    expect(recipe.jitter.probability).toBe(0);
  });

  it("takes what the run says over every default", () => {
    const augmentation = { cropScale: [0.5, 0.6], horizontalFlip: 1, quarterTurns: 0, grayscale: 0 };
    const recipe = recipeOf({ augmentation });
    expect(recipe).toMatchObject(augmentation);
    expect(recipe.verticalFlip).toBe(0.5);
  });
});
