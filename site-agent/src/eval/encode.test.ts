import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { encoderTensorNames, parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { eagerEngine } from "../engine/eager-engine.js";
import { normalisedPixels } from "../model/pixel-scale.js";
import { encodeProgram, encoderInputs, extractFeatures } from "./encode.js";

const model: ModelConfig = { architecture: "vit-nano", imageSize: 8, patchSize: 4 };
const layout = parameterLayout({
  model,
  method: { name: "simclr", temperature: 0.5, projectionDim: 8, pooling: "mean" },
});
const vector = initialVector(layout, 1);
const images = [1, 2, 3, 4, 5].map((seed) => {
  const random = randomFor("image", seed);
  return Uint8Array.from({ length: 8 * 8 * 3 }, () => random.integer(256));
});
const job = { engine: eagerEngine(), model, layout, vector, images, batchSize: 2 };

describe("encodeProgram", () => {
  it("takes the encoder's tensors and the images, no head", () => {
    const { inputs } = encodeProgram(model, layout, { batchSize: 3, pixels: "bytes" });
    const expected = [...encoderTensorNames(layout).map((name) => `parameter/${name}`), "images"];
    expect(Object.keys(inputs)).toEqual(expected);
    expect(inputs.images).toEqual({ shape: [3, 8, 8, 3], dtype: "uint8" });
  });

  it("sees the same in bytes as in what they are normalised to", async () => {
    const bytes = images[0]!;
    const [fromBytes, fromNormalised] = await Promise.all(
      [bytes, normalisedPixels(bytes)].map(async (data) => {
        const pixels = data instanceof Uint8Array ? "bytes" : "normalised";
        const compiled = await job.engine.compile(encodeProgram(model, layout, { batchSize: 1, pixels }));
        const { features } = await compiled.run({
          ...encoderInputs(layout, vector),
          images: { shape: [1, 8, 8, 3], data },
        });
        return features!.data;
      }),
    );
    for (const [at, value] of fromBytes!.entries()) expect(fromNormalised![at]).toBeCloseTo(value, 5);
  });
});

describe("extractFeatures", () => {
  it("does not depend on the batch size, and leaves out what fills the last batch", async () => {
    const pairs = await extractFeatures(job);
    const all = await extractFeatures({ ...job, batchSize: 5 });
    expect(pairs).toMatchObject({ count: 5, width: 96 });
    expect(pairs.values).toHaveLength(5 * 96);
    for (const [at, value] of all.values.entries()) expect(pairs.values[at]).toBeCloseTo(value, 5);
  });

  it("offers the mean of the patches as well", async () => {
    const mean = await extractFeatures({ ...job, model: { ...model, pooling: "mean" } });
    expect(mean.values).not.toEqual((await extractFeatures(job)).values);
  });

  it("has nothing to say about no images", async () => {
    expect(await extractFeatures({ ...job, images: [] })).toEqual({ count: 0, width: 96, values: new Float32Array() });
  });
});
