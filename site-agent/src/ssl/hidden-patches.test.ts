import { methodSchema } from "@consilium/shared/config/method-config.js";
import { randomFor } from "@consilium/shared/random.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectClose, wave } from "../../../test/support/golden.js";
import { type Tensor3D, tf } from "../model/tf.js";
import { dinov2Blocks, drawBlockMask, drawRandomMask, ibotBlocks } from "./block-masks.js";
import { drawHiddenPatches, hiddenPatchInputs, hiddenRows, mostHidden, tokensAt } from "./hidden-patches.js";

const model = { architecture: "vit-nano", imageSize: 32, patchSize: 4 } as const;
const configOf = (name: "ibot" | "dinov2", settings: object = {}) => {
  const config = methodSchema.parse({ name, ...settings });
  if (config.name !== "ibot" && config.name !== "dinov2") throw new Error("neither");
  return config;
};

describe("block masks", () => {
  it.each([
    ["iBOT", ibotBlocks(14)],
    ["DINOv2", dinov2Blocks(14)],
  ])("%s never exceeds the budget and hides no whole side at once", (_name, rule) => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 98 }), (seed, budget) => {
        const mask = drawBlockMask(budget, rule, randomFor("blocks", seed));
        return mask.filter((hidden) => hidden === 1).length <= budget;
      }),
      { numRuns: 200 },
    );
    const masks = Array.from({ length: 50 }, (_, seed) => drawBlockMask(60, rule, randomFor("blocks", seed)));
    const shares = masks.map((mask) => mask.filter((hidden) => hidden === 1).length / 60);
    // Nearly all of the budget is used.
    expect(shares.reduce((sum, share) => sum + share, 0) / 50).toBeGreaterThan(0.8);
  });

  it("hides exactly the budget when each patch is drawn by itself", () => {
    expect(drawRandomMask(5, 4, randomFor("mask")).filter((hidden) => hidden === 1)).toHaveLength(5);
  });
});

describe("drawHiddenPatches", () => {
  it("masks exactly the asked share of crops for DINOv2, with ratios over the whole range", () => {
    const config = configOf("dinov2");
    const { hidden } = drawHiddenPatches(16, model, config, randomFor("hidden"));
    const counts = Array.from({ length: 32 }, (_, crop) =>
      [...hidden!.data.subarray(crop * 64, crop * 64 + 64)].reduce((sum, value) => sum + value, 0),
    );
    expect(counts.filter((count) => count > 0)).toHaveLength(16);
    expect(Math.max(...counts)).toBeGreaterThan(24);
    expect(Math.max(...counts)).toBeLessThanOrEqual(32);
  });

  it("has weights that sum to one for each crop with something hidden, at the places that are hidden", () => {
    const config = configOf("ibot", { maskProbability: 0.7 });
    const most = mostHidden(model, config);
    const inputs = drawHiddenPatches(8, model, config, randomFor("hidden", 2));
    expect(Object.keys(inputs)).toEqual(Object.keys(hiddenPatchInputs(8, model, config)));
    const { hidden, hiddenPlaces, hiddenWeights } = inputs;
    for (let crop = 0; crop < 16; crop++) {
      const mask = hidden!.data.subarray(crop * 64, crop * 64 + 64);
      const weights = hiddenWeights!.data.subarray(crop * most, crop * most + most);
      const places = hiddenPlaces!.data.subarray(crop * most, crop * most + most);
      const shown = [...places].filter((_, index) => weights[index]! > 0);
      expect(shown.sort((a, b) => a - b)).toEqual([...mask.keys()].filter((place) => mask[place] === 1));
      const total = [...weights].reduce((sum, weight) => sum + weight, 0);
      expect(total).toBeCloseTo(shown.length > 0 ? 1 : 0, 5);
    }
  });

  it("is refused when it can hide nothing", () => {
    expect(() => mostHidden(model, configOf("ibot", { maskRatio: [0, 0.01] }))).toThrow(/hides none of 64 patches/);
  });
});

describe("tokensAt", () => {
  it("takes the tokens of both views, one view after the other", () => {
    // Two images of four patches, one hidden patch in each crop: places [image][view].
    const batch = {
      hiddenPlaces: tf.tensor3d([1, 2, 3, 0], [2, 2, 1], "int32"),
      hiddenWeights: tf.ones([2, 2, 1]),
    };
    const tokens = wave([4, 4, 1], 0) as Tensor3D;
    const rows = tokensAt(tokens, hiddenRows(batch, 4));
    const values = tokens.dataSync();
    // View 1 of image 1, of image 2; view 2 of image 1, of image 2.
    expectClose(rows, [values[1]!, values[4 + 3]!, values[8 + 2]!, values[12]!], 0);
  });
});
