import { describe, expect, it } from "vitest";
import { type MethodConfig, methodSchema } from "../config/method-config.js";
import type { ModelConfig } from "../config/model-config.js";
import { architectureOf } from "./architecture.js";
import { colourBins, headParameters, unetChannels, unetSkips } from "./heads.js";
import { sizeOf } from "./layout.js";
import { resnetBlocks } from "./resnet.js";

const vit = { architecture: "vit-small", imageSize: 224, patchSize: 16 } as const;
const { width: d } = architectureOf(vit);
const resnet = (architecture: "resnet18" | "resnet50") => ({ architecture, imageSize: 224 }) as const;

const headOf = (method: object, model: ModelConfig = vit) =>
  headParameters({ model, method: methodSchema.parse(method) });
const count = (method: object, model: ModelConfig = vit) =>
  headOf(method, model).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const shapesOf = (method: object, model: ModelConfig = vit) =>
  Object.fromEntries(headOf(method, model).map(({ name, shape }) => [name, shape]));

const linear = (inputs: number, outputs: number) => inputs * outputs + outputs;
const mlp = (inputs: number, hidden: number, outputs: number) =>
  linear(inputs, hidden) + 2 * hidden + linear(hidden, outputs);

describe("headParameters", () => {
  it("projects as wide as the features, then to 128, for SimCLR", () => {
    expect(count({ name: "simclr" })).toBe(linear(d, d) + linear(d, 128));
    expect(count({ name: "simclr" }, resnet("resnet50"))).toBe(linear(2048, 2048) + linear(2048, 128));
  });

  it("gives BYOL a projector and a predictor of the same form", () => {
    expect(count({ name: "byol" })).toBe(mlp(d, 4096, 256) + mlp(256, 4096, 256));
    expect(count({ name: "byol" }, resnet("resnet18"))).toBe(mlp(512, 4096, 256) + mlp(256, 4096, 256));
    const shapes = shapesOf({ name: "byol", hiddenDim: 32, projectionDim: 16 });
    expect(shapes["projector.fc1.weight"]).toEqual([32, d]);
    expect(shapes["predictor.fc1.weight"]).toEqual([32, 16]);
    expect(shapes["predictor.norm.bias"]).toEqual([32]);
    expect(shapes["predictor.fc2.weight"]).toEqual([16, 32]);
  });

  it("gives DINO three layers to the bottleneck and prototypes without bias", () => {
    const layers = linear(d, 2048) + linear(2048, 2048) + linear(2048, 256);
    expect(count({ name: "dino" })).toBe(layers + 256 * 65_536);
    expect(count({ name: "dino", normalizeLastLayer: false })).toBe(layers + 257 * 65_536);
    expect(count({ name: "ibot" })).toBe(layers + 256 * 8192);
    expect(count({ name: "dinov2" })).toBe(layers + 257 * 65_536);
    expect(count({ name: "dinov2", sharedHead: false })).toBe(2 * (layers + 257 * 65_536));
  });

  it("gives GMML three layers as wide as the tokens and a transposed convolution to pixels", () => {
    const gmml = 3 * linear(d, d) + d * 3 * 16 * 16 + 3;
    expect(count({ name: "gmml" })).toBe(gmml);
    const projection = linear(d, 4096) + linear(4096, 4096) + 4 * 4096 + linear(4096, 256);
    expect(count({ name: "sit" })).toBe(gmml + projection);
  });

  it("gives a masked autoencoder's decoder blocks of its own width", () => {
    const width = 512;
    const blocks = 8 * (12 * width * width + 13 * width);
    expect(count({ name: "mae" })).toBe(linear(d, width) + width + blocks + 2 * width + linear(width, 768));
  });

  it("decodes red and blue of every pixel of a patch for ColorMe, and predicts two histograms", () => {
    expect(count({ name: "colorme" })).toBe(linear(d, 2 * 16 * 16) + linear(d, 2 * colourBins));
  });

  it.each(["resnet18", "resnet50"] as const)("joins the stages of %s to ColorMe's U-Net", (architecture) => {
    const model = resnet(architecture);
    const outputs = [4, 3, 2, 1].map((stage) => {
      const last = resnetBlocks(architecture).findLast(({ units }) =>
        units[0]?.convolution.name.startsWith(`layer${stage}.`),
      );
      return last?.units.at(-1)?.convolution.outputs ?? 0;
    });
    const [deepest = 0, ...earlier] = outputs;
    expect(unetSkips(model)).toEqual([...earlier, 64, 0]);
    const shapes = shapesOf({ name: "colorme" }, model);
    expect(shapes["decoder.blocks.0.conv1.0.weight"]).toEqual([256, deepest + earlier[0]!, 3, 3]);
    expect(shapes["decoder.blocks.3.conv1.0.weight"]).toEqual([32, 64 + 64, 3, 3]);
    expect(shapes["decoder.blocks.4.conv1.0.weight"]).toEqual([16, 32, 3, 3]);
    expect(shapes["decoder.head.weight"]).toEqual([2, 16, 3, 3]);
    expect(shapes["histogram.weight"]).toEqual([10, deepest]);
    const blocks = unetChannels.map((channels, index) => {
      const inputs = (unetChannels[index - 1] ?? deepest) + unetSkips(model)[index]!;
      return 9 * channels * (inputs + channels) + 4 * channels;
    });
    const decoder = blocks.reduce((sum, size) => sum + size, 0) + 9 * 16 * 2 + 2;
    expect(count({ name: "colorme" }, model)).toBe(decoder + linear(deepest, 10));
  });

  it.each(["mae", "gmml", "sit"] satisfies MethodConfig["name"][])("has no %s on a residual network", (name) => {
    expect(() => headOf({ name }, resnet("resnet18"))).toThrow(/has no patches/);
  });

  it("names every tensor once", () => {
    for (const name of ["byol", "dinov2", "sit", "colorme"]) {
      const names = headOf({ name }).map((spec) => spec.name);
      expect(new Set(names).size).toBe(names.length);
    }
  });
});
