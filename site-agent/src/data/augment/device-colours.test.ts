import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { createAugmenter } from "./augment.js";
import { changeStains, jitterStains } from "./hed-jitter.js";
import { applyGamma, applyWindow, jitterRadiograph } from "./radiograph.js";
import { greyingGains, scaleChannels } from "./shades-of-grey.js";

const two = () => Float32Array.of(0.2, 0.4, 0.6, 0.8, 0.1, 0.3);

function expectPixels(actual: Float32Array, expected: readonly number[], digits = 5): void {
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, digits);
}

/** Whatever is drawn changes nothing. */
const middle: Random = { uniform: () => 0.5, integer: () => 0, normal: () => 0 };

describe("stain jitter", () => {
  it("scales and shifts stains as numpy does from scikit-image's formulas", () => {
    const pixels = two();
    changeStains(pixels, [1.1, 0.95, 1.02], [0.03, -0.02, 0.01]);
    expectPixels(pixels, [0.164553, 0.317423, 0.547003, 0.805932, 0.110303, 0.295878], 5);
  });

  it("changes nothing in the middle of its range, and never leaves 0 … 1", () => {
    const pixels = two();
    jitterStains(pixels, 0.2, middle);
    expectPixels(pixels, [...two()]);
    for (let seed = 0; seed < 50; seed++) {
      const strong = Float32Array.of(0, 0, 0, 1, 1, 1, 1, 0, 0.5, -0.01, 1.01, 0.3);
      jitterStains(strong, 0.5, randomFor(seed));
      expect(strong.every((value) => value >= 0 && value <= 1)).toBe(true);
    }
  });
});

describe("radiograph jitter", () => {
  it("has the window's grey levels", () => {
    const pixels = two();
    applyWindow(pixels, { level: 0.4, width: 0.4 });
    expectPixels(pixels, [0, 0.5, 1, 1, 0, 0.25]);
    applyGamma(pixels, 2);
    expectPixels(pixels, [0, 0.25, 1, 1, 0, 0.0625]);
  });

  it("never inverts: what was brighter stays at least as bright", () => {
    const ramp = () => Float32Array.from({ length: 300 }, (_, at) => -0.02 + at / 290);
    for (let seed = 0; seed < 100; seed++) {
      const pixels = ramp();
      jitterRadiograph(pixels, { window: 0.5, gamma: 1 }, randomFor(seed));
      for (let at = 1; at < pixels.length; at++) expect(pixels[at]).toBeGreaterThanOrEqual(pixels[at - 1]!);
    }
  });

  it("changes nothing in the middle of its range or without a strength", () => {
    const pixels = two();
    jitterRadiograph(pixels, { window: 0.5, gamma: 1 }, middle);
    expectPixels(pixels, [...two()]);
    jitterRadiograph(pixels, { window: 0, gamma: 0 }, randomFor(1));
    expectPixels(pixels, [...two()]);
  });
});

describe("shades of grey", () => {
  const tinted: RgbImage = {
    width: 20,
    height: 20,
    data: Uint8Array.from({ length: 1200 }, (_, at) => ((at * 37) % 120) * [1.2, 1, 0.6][at % 3]!),
  };

  it("makes the Minkowski means of the channels the same", () => {
    const pixels = Float32Array.from(tinted.data, (level) => level / 255);
    scaleChannels(pixels, greyingGains(tinted));
    const means = [0, 1, 2].map((channel) => {
      const own = pixels.filter((_, at) => at % 3 === channel);
      return (own.reduce((sum, value) => sum + value ** 6, 0) / own.length) ** (1 / 6);
    });
    expect(means[1]).toBeCloseTo(means[0]!, 5);
    expect(means[2]).toBeCloseTo(means[0]!, 5);
  });

  it("leaves grey light, and bears black images", () => {
    for (const gain of greyingGains({ width: 2, height: 1, data: Uint8Array.of(90, 90, 90, 200, 200, 200) })) {
      expect(gain).toBeCloseTo(1, 12);
    }
    expect(greyingGains({ width: 1, height: 1, data: new Uint8Array(3) })).toEqual([1, 1, 1]);
  });
});

const configOf = (modality: string, augmentation: object) =>
  runConfigSchema.parse({
    ...{ name: "device", modality, rounds: 1, optimizer: { learningRate: 1e-3 } },
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 4 },
    method: { name: "dino", localCrops: 2, localSize: 8 },
    augmentation,
  });

const image: RgbImage = {
  width: 20,
  height: 16,
  data: Uint8Array.from({ length: 960 }, (_, index) => 60 + ((index * 91 + (index >> 3)) % 150)),
};

describe("createAugmenter", () => {
  const profiles = [[60, 20, -15, 15, 8, 6]];
  it.each<[string, object]>([
    ["pathology", { stain: { reinhard: 1, profiles } }],
    ["pathology", { stain: { hed: 0.1 } }],
    ["radiograph", { radiograph: { window: 0.3 } }],
    ["radiograph", { radiograph: { gamma: 0.5 } }],
    ["dermatology", { colourConstancy: true }],
  ])("changes every view of %s with %j, the same for the same names", (modality, augmentation) => {
    const views = (over: object) => createAugmenter(configOf(modality, over))(image, (name) => randomFor(name, 1));
    const [plain, changed] = [views({}), views(augmentation)];
    expect(changed).toEqual(views(augmentation));
    for (const [index, view] of changed.entries()) expect(view).not.toEqual(plain[index]);
  });

  it("changes no view when all is off", () => {
    const views = (over: object) => createAugmenter(configOf("pathology", over))(image, (name) => randomFor(name, 1));
    expect(views({ stain: {}, colourConstancy: false })).toEqual(views({}));
  });
});
