import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { viewRecipe } from "./recipe.js";

interface Changes {
  readonly modality?: string;
  readonly method?: string;
  readonly imageSize?: number;
  readonly augmentation?: object;
  readonly view?: string;
}

function recipeOf(changes: Changes = {}) {
  const { modality = "dermatology", method = "simclr", imageSize = 224, augmentation = {}, view = "view1" } = changes;
  const localSize = imageSize < 96 ? 32 : 96;
  const size = view.startsWith("local") ? localSize : imageSize;
  const isMultiCrop = ["dino", "ibot", "dinov2"].includes(method);
  return viewRecipe(
    runConfigSchema.parse({
      name: "recipe",
      modality,
      model: { architecture: "vit-nano", imageSize, patchSize: 4 },
      method: { name: method, ...(isMultiCrop ? { localSize } : {}) },
      augmentation,
      optimizer: { learningRate: 1e-3 },
      rounds: 1,
    }),
    { name: view, size },
  );
}

describe("viewRecipe", () => {
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

  it("treats DINO's crops as its paper does", () => {
    const of = (view: string) => recipeOf({ method: "dino", view });
    expect(of("global1")).toMatchObject({ cropScale: [0.4, 1], blur: 1, solarize: 0, grayscale: 0.2 });
    expect(of("global2")).toMatchObject({ cropScale: [0.4, 1], blur: 0.1, solarize: 0.2 });
    expect(of("local3")).toMatchObject({ cropScale: [0.05, 0.4], blur: 0.5, solarize: 0 });
    expect(of("local3").jitter).toEqual({
      brightness: 0.4,
      contrast: 0.4,
      saturation: 0.2,
      hue: 0.1,
      probability: 0.8,
    });
  });

  it("blurs DINOv2's crops as its code runs, or as its probabilities are named", () => {
    const of = (view: string, augmentation = {}) => recipeOf({ method: "dinov2", view, augmentation }).blur;
    expect([of("global1"), of("global2"), of("local1")]).toEqual([0, 0.9, 0.5]);
    const named = { blurProbability: "as-named" };
    expect([of("global1", named), of("global2", named), of("local1", named)]).toEqual([1, 0.1, 0.5]);
  });

  it("solarises the second view of BYOL only, and no radiograph", () => {
    expect(recipeOf({ method: "byol" }).solarize).toBe(0);
    expect(recipeOf({ method: "byol", view: "view2" }).solarize).toBe(0.2);
    expect(recipeOf({ method: "byol", view: "view2", modality: "radiograph" }).solarize).toBe(0);
    const augmentation = { solarize: 0.7 };
    expect(recipeOf({ method: "byol", augmentation }).solarize).toBe(0);
    expect(recipeOf({ method: "byol", view: "view2", augmentation }).solarize).toBe(0.7);
  });

  it("has scales of large and small crops apart", () => {
    const augmentation = { cropScale: [0.5, 1], localCropScale: [0.1, 0.2] };
    expect(recipeOf({ method: "dino", view: "global1", augmentation }).cropScale).toEqual([0.5, 1]);
    expect(recipeOf({ method: "dino", view: "local1", augmentation }).cropScale).toEqual([0.1, 0.2]);
  });

  it("only resizes for ColorMe", () => {
    expect(recipeOf({ method: "colorme", view: "view" })).toMatchObject({
      cropScale: undefined,
      blur: 0,
      grayscale: 0,
    });
  });

  it("takes less extreme large crops of small images, whatever the method", () => {
    const of = (method: string, view: string) => recipeOf({ method, view, imageSize: 64 }).cropScale;
    expect([of("ibot", "global1"), of("gmml", "view2"), of("dino", "global1")]).toEqual([
      [0.2, 1],
      [0.2, 1],
      [0.4, 1],
    ]);
    expect(of("ibot", "local1")).toEqual([0.05, 0.25]);
  });

  it("blurs large and small crops alike, in proportion to the image size", () => {
    const of = (imageSize: number, view: string) => recipeOf({ method: "dinov2", imageSize, view });
    for (const view of ["global1", "local1"]) {
      expect(of(224, view)).toMatchObject({ blurSigma: [0.1, 2], blurRadius: 4 });
      expect(of(112, view)).toMatchObject({ blurSigma: [0.05, 1], blurRadius: 2 });
    }
    expect(recipeOf({ method: "dino", view: "global1" }).blurRadius).toBeUndefined();
  });
});
