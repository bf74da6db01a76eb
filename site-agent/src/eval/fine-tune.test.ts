import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import { type FineTuneJob, fineTune } from "./fine-tune.js";
import { balancedAccuracy } from "./metrics.js";

const side = 8;
const model: ModelConfig = { architecture: "vit-nano", imageSize: side, patchSize: 4 };
const layout = parameterLayout({
  model,
  method: { name: "simclr", temperature: 0.5, projectionDim: 8, pooling: "mean" },
});

/** Noise of one colour: the class is the channel that is brighter than the others, or none. */
function tinted(
  count: number,
  { seed, tint }: { seed: number; tint: number },
): { images: Uint8Array[]; labels: Int32Array } {
  const random = randomFor("tinted", seed);
  const labels = Int32Array.from({ length: count }, (_, index) => index % 4);
  const images = Array.from(labels, (label) =>
    Uint8Array.from({ length: side * side * 3 }, (_, at) => 60 + random.integer(100) + (at % 3 === label ? tint : 0)),
  );
  return { images, labels };
}

const train = tinted(24, { seed: 1, tint: 60 });
const test = tinted(40, { seed: 2, tint: 60 });
const job: FineTuneJob = {
  ...{ engine: compiledCpuEngine({ threads: 1 }), layout, vector: initialVector(layout, 1), seed: 1, classes: 4 },
  model: { ...model, pooling: "mean" },
  ...{ train: train.images, trainLabels: train.labels, test: test.images },
  settings: { steps: 40, batchSize: 16, learningRate: 2e-3, weightDecay: 0.05, warmupShare: 0.1 },
  augment: (image) => image,
};

/** A little brighter or darker. */
function shaded(image: Uint8Array, random: Random): Uint8Array {
  const change = random.integer(21) - 10;
  return image.map((value) => value + change);
}

describe("fineTune", () => {
  it("tells nothing apart before its first step, and the classes after some", async () => {
    const untrained = await fineTune({ ...job, settings: { ...job.settings, steps: 1, learningRate: 0 } });
    expect(balancedAccuracy(test.labels, untrained)).toBe(0.25);
    expect(balancedAccuracy(test.labels, await fineTune(job))).toBeGreaterThan(0.9);
  });

  it("learns nothing that is not in the labels", async () => {
    const random = randomFor("shuffled", 1);
    const trainLabels = Int32Array.from(train.labels, () => random.integer(4));
    expect(balancedAccuracy(test.labels, await fineTune({ ...job, trainLabels }))).toBeLessThan(0.6);
  });

  it("repeats by seed, and begins with the encoder that it is given", async () => {
    // Hard to tell apart: what it says of them depends on every weight.
    const doubtful = tinted(200, { seed: 3, tint: 12 }).images;
    const few = { ...job, augment: shaded, test: doubtful };
    const first = await fineTune(few);
    expect(await fineTune(few)).toEqual(first);
    expect(await fineTune({ ...few, seed: 2 })).not.toEqual(first);
    expect(await fineTune({ ...few, vector: initialVector(layout, 2) })).not.toEqual(first);
  });

  it("shows every image once before it shows one again, in changing order", async () => {
    const shown: number[] = [];
    const augment = (image: Uint8Array) => {
      shown.push(train.images.indexOf(image));
      return image;
    };
    await fineTune({ ...job, augment, settings: { ...job.settings, steps: 3 } });
    const inOrder = (indices: readonly number[]) => [...indices].sort((a, b) => a - b);
    const epochs = [shown.slice(0, 24), shown.slice(24)];
    for (const epoch of epochs) expect(inOrder(epoch)).toEqual([...train.images.keys()]);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it("says when a step's loss is not finite", async () => {
    const vector = job.vector.map(() => Number.NaN);
    await expect(fineTune({ ...job, vector })).rejects.toThrow(/not finite in step 0.*/);
  });
});
