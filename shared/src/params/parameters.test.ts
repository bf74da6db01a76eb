import { describe, expect, it } from "vitest";
import type { VitConfig } from "../config/model-config.js";
import type { MethodConfig, ModelConfig } from "../config/run-config.js";
import { architectureOf, patchCount, patchValues } from "./architecture.js";
import { encoderTensorNames, fixedTensors, parameterLayout } from "./parameters.js";

const simclr: MethodConfig = { name: "simclr", temperature: 0.5, projectionDim: 128, pooling: "mean" };
const mae: Extract<MethodConfig, { name: "mae" }> = {
  name: "mae",
  maskRatio: 0.75,
  decoderWidth: 512,
  decoderBlocks: 8,
  decoderHeads: 16,
  normalizePixels: true,
};
const modelOf = (architecture: VitConfig["architecture"], imageSize = 224, patchSize = 16): VitConfig => ({
  architecture,
  imageSize,
  patchSize,
});

function encoderParameters(model: ModelConfig, method: MethodConfig = simclr): number {
  const layout = parameterLayout({ model, method });
  const names = new Set(encoderTensorNames(layout));
  return layout.parameters.filter(({ name }) => names.has(name)).reduce((sum, { size }) => sum + size, 0);
}

describe("parameterLayout", () => {
  it.each([
    ["vit-tiny", 5_524_416],
    ["vit-small", 21_665_664],
    ["vit-base", 85_798_656],
    ["vit-large", 303_301_632],
  ] as const)("%s has the published number of encoder parameters", (architecture, count) => {
    expect(encoderParameters(modelOf(architecture))).toBe(count);
  });

  it.each(["vit-nano", "vit-tiny", "vit-small"] as const)("%s follows the closed form at 28 px, patch 4", (name) => {
    const model = modelOf(name, 28, 4);
    const { width: d, depth } = architectureOf(model);
    const blocks = depth * (12 * d * d + 13 * d);
    const expected = blocks + patchValues(model) * d + d + d + (patchCount(model) + 1) * d + 2 * d;
    expect(encoderParameters(model)).toBe(expected);
  });

  it("names tensors as timm does, encoder first and without gaps", () => {
    const layout = parameterLayout({ model: modelOf("vit-nano", 32, 8), method: simclr });
    const names = layout.parameters.map(({ name }) => name);
    expect(names.slice(0, 5)).toEqual([
      "cls_token",
      "pos_embed",
      "patch_embed.proj.weight",
      "patch_embed.proj.bias",
      "blocks.0.norm1.weight",
    ]);
    expect(names).toContain("blocks.3.attn.qkv.bias");
    expect(names).toContain("blocks.3.mlp.fc2.weight");
    expect(names.slice(-4)).toEqual(["head.fc1.weight", "head.fc1.bias", "head.fc2.weight", "head.fc2.bias"]);
    expect(new Set(names).size).toBe(names.length);
    let offset = 0;
    for (const parameter of layout.parameters) {
      expect(parameter.offset).toBe(offset);
      offset += parameter.size;
    }
    expect(layout.dimension).toBe(offset);
  });

  it("gives a masked autoencoder a decoder and no trained positions", () => {
    const config = { model: modelOf("vit-nano", 32, 8), method: { ...mae, decoderWidth: 64, decoderBlocks: 2 } };
    const layout = parameterLayout(config);
    const shapes = new Map(layout.parameters.map(({ name, shape }) => [name, shape]));
    expect(shapes.has("pos_embed")).toBe(false);
    expect(shapes.get("decoder_embed.weight")).toEqual([64, 96]);
    expect(shapes.get("mask_token")).toEqual([1, 1, 64]);
    expect(shapes.get("decoder_pred.weight")).toEqual([192, 64]);
    expect(encoderTensorNames(layout).some((name) => name.startsWith("decoder") || name === "mask_token")).toBe(false);
    expect([...fixedTensors(config)].map(([name, { shape }]) => [name, shape])).toEqual([
      ["pos_embed", [1, 17, 96]],
      ["decoder_pos_embed", [1, 17, 64]],
    ]);
  });

  it("has no fixed tensor where positions are trained", () => {
    expect(fixedTensors({ model: modelOf("vit-nano", 32, 8), method: simclr }).size).toBe(0);
  });

  it("refuses decoder heads that do not divide the decoder's width", () => {
    const config = { model: modelOf("vit-nano", 32, 8), method: { ...mae, decoderHeads: 7 } };
    expect(() => parameterLayout(config)).toThrow(/not a multiple/);
  });
});
