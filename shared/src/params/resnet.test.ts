import { describe, expect, it } from "vitest";
import { initialVector } from "./initialize.js";
import { placeParameters } from "./layout.js";
import { resnetBlocks, resnetParameters, resnetStatistics } from "./resnet.js";

const namesOf = (specs: readonly { readonly name: string }[]) => specs.map(({ name }) => name);

describe("resnetParameters", () => {
  it.each([
    ["resnet18", 11_176_512],
    ["resnet50", 23_508_032],
  ] as const)("%s has the published number of parameters without its classifier", (name, count) => {
    expect(placeParameters(resnetParameters(name)).dimension).toBe(count);
  });

  it("names tensors as torchvision does, in its order", () => {
    const names = namesOf(resnetParameters("resnet50"));
    expect(names.slice(0, 5)).toEqual([
      "conv1.weight",
      "bn1.weight",
      "bn1.bias",
      "layer1.0.conv1.weight",
      "layer1.0.bn1.weight",
    ]);
    expect(names.slice(12, 15)).toEqual([
      "layer1.0.downsample.0.weight",
      "layer1.0.downsample.1.weight",
      "layer1.0.downsample.1.bias",
    ]);
    expect(names).toContain("layer4.2.bn3.bias");
    expect(new Set(names).size).toBe(161 - 2);
    expect(namesOf(resnetParameters("resnet18"))).not.toContain("layer1.0.downsample.0.weight");
  });

  it("has torchvision's shapes", () => {
    const shapes = new Map(resnetParameters("resnet50").map(({ name, shape }) => [name, shape]));
    expect(shapes.get("conv1.weight")).toEqual([64, 3, 7, 7]);
    expect(shapes.get("layer2.0.conv2.weight")).toEqual([128, 128, 3, 3]);
    expect(shapes.get("layer4.0.downsample.0.weight")).toEqual([2048, 1024, 1, 1]);
  });

  it("starts convolutions from a normal of fan-out, and norms from the identity", () => {
    const layout = placeParameters(resnetParameters("resnet18").slice(0, 3));
    const vector = initialVector(layout, 1);
    const weights = vector.subarray(0, 64 * 147);
    const spread = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0) / weights.length);
    expect(spread / Math.sqrt(2 / (64 * 49))).toBeCloseTo(1, 1);
    expect(new Set(vector.subarray(64 * 147, 64 * 148))).toEqual(new Set([1]));
    expect(new Set(vector.subarray(64 * 148))).toEqual(new Set([0]));
  });
});

describe("resnetBlocks", () => {
  it("halves the image on the 3×3 convolution of a bottleneck", () => {
    const [first] = resnetBlocks("resnet50").filter(({ units }) => units[0]?.convolution.name === "layer3.0.conv1");
    expect(first?.units.map(({ convolution }) => convolution.stride)).toEqual([1, 2, 1]);
    expect(first?.shortcut?.convolution.stride).toBe(2);
  });
});

describe("resnetStatistics", () => {
  it("has a mean and a variance for every norm", () => {
    const names = namesOf(resnetStatistics("resnet18"));
    expect(names.slice(0, 2)).toEqual(["bn1.running_mean", "bn1.running_var"]);
    expect(names).toHaveLength(2 * 20);
  });
});
