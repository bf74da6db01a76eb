import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { sinCosPositions } from "@consilium/shared/params/positions.js";
import { describe, expect, it } from "vitest";
import { expectClose, wave } from "../../../test/support/golden.js";
import { patchify } from "./patches.js";
import { fixedPositions } from "./positions.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor4D, tf } from "./tf.js";
import { classTokens, meanPatchTokens } from "./tokens.js";
import { embedPatches, encode } from "./vit.js";

const model: ModelConfig = { architecture: "vit-nano", imageSize: 8, patchSize: 4 };
const layout = parameterLayout({
  model,
  method: { name: "simclr", temperature: 0.5, projectionDim: 8, pooling: "mean" },
});
const vector = initialVector(layout, 1);
const parameters: NamedTensors = Object.fromEntries(
  layout.parameters.map(({ name, shape, offset, size }) => [
    name,
    tf.tensor(vector.slice(offset, offset + size), [...shape]),
  ]),
);

describe("patchify", () => {
  it("orders a patch's values by row, column, channel", () => {
    const images = tf.tensor4d(
      Float32Array.from({ length: 4 * 4 * 3 }, (_, index) => index),
      [1, 4, 4, 3],
    );
    const second = tf.slice(patchify(images, 2), [0, 1, 0], [1, 1, 12]);
    // Pixel (row, column) starts at 3 (4 row + column); the second patch begins at column 2.
    expectClose(second, [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23], 0);
  });

  it("makes the patch embedding equal to the strided convolution", () => {
    const images = wave([2, 8, 8, 3], 1) as Tensor4D;
    const kernel = parameters["patch_embed.proj.weight"]!;
    const convolved = tf.conv2d(images, tf.transpose(kernel, [2, 3, 1, 0]) as Tensor4D, 4, "valid");
    const unbiased = { ...parameters, "patch_embed.proj.bias": tf.zeros([96]) };
    const embedded = embedPatches(tf.reshape(patchify(images, 4), [8, 48]), unbiased);
    expectClose(embedded, convolved.dataSync(), 1e-5);
  });
});

describe("encode", () => {
  const images = wave([2, 8, 8, 3], 1);
  const all = encode({ model, parameters, images });

  it("gives a class token and one token per patch", () => {
    expect(all.shape).toEqual([2, 5, 96]);
    expect(classTokens(all).shape).toEqual([2, 96]);
    expect(meanPatchTokens(all).shape).toEqual([2, 96]);
    expectClose(tf.slice(classTokens(all), [1, 0], [1, 96]), tf.slice(all, [1, 0, 0], [1, 1, 96]).dataSync(), 0);
  });

  it("sees the same with all patches visible in another order", () => {
    const places = [2, 0, 3, 1];
    const visible = {
      count: 4,
      rows: tf.tensor1d([...places, ...places.map((place) => 4 + place)], "int32"),
      places: tf.tensor1d([...places, ...places], "int32"),
    };
    const shuffled = encode({ model, parameters, images, visible });
    expectClose(classTokens(shuffled), classTokens(all).dataSync(), 1e-5);
    expectClose(tf.slice(shuffled, [1, 1, 0], [1, 1, 96]), tf.slice(all, [1, 3, 0], [1, 1, 96]).dataSync(), 1e-5);
  });

  it("does not depend on patches that it does not see", () => {
    const visible = { count: 1, rows: tf.tensor1d([0, 4], "int32"), places: tf.tensor1d([0, 0], "int32") };
    const other = tf.concat([tf.slice(images, [0, 0, 0, 0], [2, 4, 8, 3]), wave([2, 4, 8, 3], 7)], 1);
    const seen = encode({ model, parameters, images, visible });
    expectClose(encode({ model, parameters, images: other, visible }), seen.dataSync(), 0);
  });

  it("computes positions where the layout trains none", () => {
    const { pos_embed: _, ...rest } = parameters;
    expectClose(fixedPositions(model), sinCosPositions(2, 96), 0);
    const fixed = encode({ model, parameters: { ...rest, pos_embed: fixedPositions(model) }, images });
    expectClose(encode({ model, parameters: rest, images }), fixed.dataSync(), 0);
  });
});
