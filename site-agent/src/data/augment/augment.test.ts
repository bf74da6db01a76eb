import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { createAugmenter, plainView } from "./augment.js";

const configOf = (augmentation: object = {}, method: object = { name: "simclr" }) =>
  runConfigSchema.parse({
    name: "augment",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 12, patchSize: 4 },
    method,
    augmentation,
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });
const image: RgbImage = {
  width: 20,
  height: 16,
  data: Uint8Array.from({ length: 960 }, (_, index) => (index * 91 + (index >> 3)) % 256),
};
const still = {
  cropScale: [1, 1],
  horizontalFlip: 0,
  verticalFlip: 0,
  quarterTurns: 0,
  jitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0, probability: 0 },
  grayscale: 0,
  blur: 0,
};

describe("createAugmenter", () => {
  it("is decided by the generator alone", () => {
    const augment = createAugmenter(configOf({ blur: 0.5 }));
    const view = (seed: number) => augment(image, (name) => randomFor(name, seed))[0]!;
    expect(view(1)).toEqual(view(1));
    expect(view(2)).not.toEqual(view(1));
    expect(view(1)).toHaveLength(12 * 12 * 3);
    expect(view(1)).toBeInstanceOf(Uint8Array);
    expect(new Set(view(1)).size).toBeGreaterThan(50);
  });

  it("leaves the source as it was", () => {
    const before = image.data.slice();
    createAugmenter(configOf())(image, randomFor);
    expect(image.data).toEqual(before);
  });

  it("is a plain resize when everything is off", () => {
    const square: RgbImage = { width: 12, height: 12, data: image.data.subarray(0, 432) };
    const [view] = createAugmenter(configOf(still))(square, randomFor);
    // A crop of the full area may be one with another ratio that does not fit, which ends as the whole image.
    expect(view).toEqual(plainView(square, 12));
    expect(view).toEqual(square.data);
  });

  it("makes grey images grey in every channel", () => {
    const [view] = createAugmenter(configOf({ ...still, grayscale: 1 }))(image, randomFor);
    for (let at = 0; at < view!.length; at += 3) {
      expect([view![at], view![at + 2]]).toEqual([view![at + 1], view![at + 1]]);
    }
  });

  it("makes the crops of every size, in the order of the plan", () => {
    const augment = createAugmenter(configOf({}, { name: "dino", localCrops: 3, localSize: 8 }));
    const lengths = augment(image, randomFor).map(({ length }) => length);
    expect(lengths).toEqual([12, 12, 8, 8, 8].map((size) => size * size * 3));
  });

  it("makes each view with a stream of its own, whatever stands beside it", () => {
    const few = createAugmenter(configOf({}, { name: "dino", localCrops: 1, localSize: 8 }))(image, randomFor);
    const many = createAugmenter(configOf({}, { name: "dino", localCrops: 2, localSize: 8 }))(image, randomFor);
    expect(many.slice(0, 3)).toEqual(few);
  });

  it("hands out each view of a method that restores, its corrupted twin and the map between them", () => {
    const arrays = createAugmenter(configOf({}, { name: "gmml", align: 2 }))(image, randomFor);
    expect(arrays.map(({ length }) => length)).toEqual([432, 432, 144, 432, 432, 144]);
    const [clean, corrupted, map] = arrays;
    for (let at = 0; at < 432; at++) {
      if (map![Math.floor(at / 3)] === 0) expect(corrupted![at]).toBe(clean![at]);
    }
  });
});
