import { describe, expect, it } from "vitest";
import { methodSchema } from "../config/method-config.js";
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

  it("has DINOv2's published number for ViT-S/14 at 518 px, with LayerScale and mask token", () => {
    const model: VitConfig = { ...modelOf("vit-small", 518, 14), layerScale: 1e-5 };
    const dinov2 = methodSchema.parse({ name: "dinov2" });
    const { parameters } = parameterLayout({ model, method: dinov2 });
    const maskToken = parameters.find(({ name }) => name === "mask_token");
    expect(encoderParameters(model, dinov2) + (maskToken?.size ?? 0)).toBe(22_056_576);
  });

  it("spends 12 D² + 13 D on a block, and 2 D on its LayerScale", () => {
    const model = modelOf("vit-small", 32, 8);
    const { width: d } = architectureOf(model);
    const blockSize = (of: VitConfig) =>
      parameterLayout({ model: of, method: simclr })
        .parameters.filter(({ name }) => name.startsWith("blocks.7."))
        .reduce((sum, { size }) => sum + size, 0);
    expect(blockSize(model)).toBe(12 * d * d + 13 * d);
    expect(blockSize({ ...model, layerScale: 1 }) - blockSize(model)).toBe(2 * d);
  });

  it.each([
    ["resnet18", 11_176_512],
    ["resnet50", 23_508_032],
  ] as const)("%s has the published number of encoder parameters without the classifier", (architecture, count) => {
    const model = { architecture, imageSize: 224 };
    expect(encoderParameters(model)).toBe(count);
    // One channel instead of three in the first convolution.
    const colorme = methodSchema.parse({ name: "colorme" });
    expect(encoderParameters(model, colorme)).toBe(count - 2 * 64 * 49);
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
