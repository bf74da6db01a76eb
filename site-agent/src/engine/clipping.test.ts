import { encoderTensorNames, parameterLayout } from "@consilium/shared/params/parameters.js";
import { describe, expect, it } from "vitest";
import { type Tensor, tf } from "../model/tf.js";
import { type ClippingMode, clipFactors, clipGroupOf, subNetworkOf, totalOf } from "./clipping.js";
import { configOf, smallMethods } from "./testing/method-gradients.js";

describe("subNetworkOf()", () => {
  it("keeps the backbone apart from heads", () => {
    for (const method of Object.values(smallMethods)) {
      const layout = parameterLayout(configOf({ model: { imageSize: 16, patchSize: 8 }, method }));
      const encoder = encoderTensorNames(layout);
      expect(new Set(encoder.map(subNetworkOf))).toEqual(new Set(["backbone"]));
    }
    expect(subNetworkOf("register_tokens")).toBe("backbone");
    expect(subNetworkOf("normalizer.weight")).toBe("normalizer");
  });

  it("names heads after themselves and takes a decoder as one", () => {
    expect(["head.fc1.weight", "dino_head.mlp.0.bias", "predictor.fc1.weight"].map(subNetworkOf)).toEqual([
      "head",
      "dino_head",
      "predictor",
    ]);
    expect(["decoder_embed.weight", "decoder_blocks.0.norm1.bias", "decoder_pred.bias"].map(subNetworkOf)).toEqual([
      "decoder",
      "decoder",
      "decoder",
    ]);
  });
});

describe("clipFactors()", () => {
  // Norms 3, 4 and 0 in the backbone, 12 in a head.
  const sumsFor = (mode: ClippingMode) => [
    { key: clipGroupOf("norm.weight", mode), squareSum: tf.scalar(9) },
    { key: clipGroupOf("norm.bias", mode), squareSum: tf.tensor2d([[16], [0]]) },
    { key: clipGroupOf("head.weight", mode), squareSum: tf.scalar(144) },
  ];
  const numbers = (factors: readonly (Tensor | undefined)[]) =>
    factors.map((factor) => factor && [...factor.dataSync()]);
  const factorsOf = (mode: ClippingMode, limit?: number, unscale?: number) =>
    numbers(
      clipFactors(sumsFor(mode), { mode, limit, unscale: unscale === undefined ? undefined : tf.scalar(unscale) }),
    );

  const expectClose = (actual: readonly (readonly number[] | undefined)[], expected: readonly (readonly number[])[]) =>
    actual.forEach((factors, at) => {
      expect(factors).toHaveLength(expected[at]!.length);
      factors!.forEach((factor, index) => {
        expect(factor).toBeCloseTo(expected[at]![index]!, 5);
      });
    });

  it("clips each tensor, each sub-network or all together", () => {
    expectClose(factorsOf("tensor", 2), [[2 / 3], [0.5, 1], [1 / 6]]);
    expectClose(factorsOf("sub-network", 4), [[0.8], [0.8], [1 / 3]]);
    expectClose(factorsOf("global", 6.5), [[0.5], [0.5], [0.5]]);
    expectClose(factorsOf("global", 14), [[1], [1], [1]]);
  });

  it("measures and scales what is still scaled", () => {
    expectClose(factorsOf("tensor", 2, 0.5), [[0.5], [0.5, 0.5], [1 / 6]]);
    expectClose(factorsOf("global", 6.5, 0.25), [[0.25], [0.25], [0.25]]);
    expect(factorsOf("tensor", undefined, 0.25)).toEqual([[0.25], [0.25], [0.25]]);
    expect(factorsOf("global")).toEqual([undefined, undefined, undefined]);
  });

  it("sums over all of them", () => {
    expect(totalOf(sumsFor("tensor")).dataSync()[0]).toBe(169);
  });
});
