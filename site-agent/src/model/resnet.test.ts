import { initialVector } from "@consilium/shared/params/initialize.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { type ResnetName, resnetParameters, resnetStatistics } from "@consilium/shared/params/resnet.js";
import { describe, expect, it } from "vitest";
import { expectClose, noise } from "../../../test/support/golden.js";
import { resnet } from "./resnet.js";
import type { NamedTensors } from "./tensors.js";
import { tf } from "./tf.js";

function tensorsOf(specs: ReturnType<typeof resnetParameters>): NamedTensors {
  const layout = placeParameters(specs);
  const vector = initialVector(layout, 1);
  return Object.fromEntries(
    layout.parameters.map(({ name, shape, offset, size }) => [
      name,
      tf.tensor(vector.slice(offset, offset + size), [...shape]),
    ]),
  );
}

const networkOf = (architecture: ResnetName) => ({
  architecture,
  parameters: tensorsOf(resnetParameters(architecture)),
  statistics: tensorsOf(resnetStatistics(architecture)),
});
const network = networkOf("resnet18");
const images = noise([2, 16, 16, 3], 1);

describe("resnet", () => {
  it.each([
    ["resnet18", 512],
    ["resnet50", 2048],
  ] as const)("%s gives %i features", (architecture, width) => {
    const { features } = resnet({ ...networkOf(architecture), images, mode: "evaluation" });
    expect(features.shape).toEqual([2, width]);
    // Means of what a rectifier let through.
    expect(tf.min(features).dataSync()[0]).toBeGreaterThanOrEqual(0);
    expect(tf.all(tf.isFinite(features)).dataSync()[0]).toBe(1);
  });

  it("sees an image alone in evaluation and with its batch in training", () => {
    const alone = tf.slice(images, [0, 0, 0, 0], [1, -1, -1, -1]);
    const featuresOf = (given: typeof images, mode: "training" | "evaluation") =>
      tf.slice(resnet({ ...network, images: given, mode }).features, [0, 0], [1, -1]).dataSync();
    expectClose(featuresOf(alone, "evaluation"), featuresOf(images, "evaluation"), 1e-6);
    expect([...featuresOf(alone, "training")]).not.toEqual([...featuresOf(images, "training")]);
  });

  it("hands on the statistics of every norm, changed in training only", () => {
    const names = resnetStatistics("resnet18").map(({ name }) => name);
    const trained = resnet({ ...network, images, mode: "training" }).statistics;
    expect(Object.keys(trained)).toEqual(names);
    expect(trained["layer4.0.downsample.1.running_var"]?.shape).toEqual([512]);
    expect([...trained["bn1.running_mean"]!.dataSync()]).not.toContain(0);
    expect(resnet({ ...network, images, mode: "evaluation" }).statistics).toBe(network.statistics);
  });

  it("gives the stem and four stages, each half the size of the one before", () => {
    const { stages, features } = resnet({ ...network, images: noise([1, 32, 32, 3], 2), mode: "evaluation" });
    expect(stages.map(({ shape }) => shape)).toEqual([
      [1, 16, 16, 64],
      [1, 8, 8, 64],
      [1, 4, 4, 128],
      [1, 2, 2, 256],
      [1, 1, 1, 512],
    ]);
    expectClose(features, stages[4]!.dataSync(), 0);
  });

  it("trains without statistics, as a teacher does, but does not follow any then", () => {
    const followed = resnet({ ...network, images, mode: "training" });
    const plain = resnet({ ...network, statistics: {}, images, mode: "training" });
    expect(plain.statistics).toEqual({});
    expectClose(plain.features, followed.features.dataSync(), 0);
    expect(() => resnet({ ...network, statistics: {}, images, mode: "evaluation" })).toThrow("bn1.running_mean");
  });

  it("names a tensor that is missing", () => {
    const { "layer3.1.conv2.weight": _, ...rest } = network.parameters;
    expect(() => resnet({ ...network, parameters: rest, images, mode: "training" })).toThrow("layer3.1.conv2.weight");
  });
});
