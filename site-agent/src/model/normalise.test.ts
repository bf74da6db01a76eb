import { expect, it } from "vitest";
import { expectClose } from "../../../test/support/golden.js";
import { normalised } from "./normalise.js";
import { channelDeviation, channelMean, normalisedPixels } from "./pixel-scale.js";
import { tf } from "./tf.js";

const everyLevel = Uint8Array.from({ length: 256 * 3 }, (_, index) => Math.floor(index / 3));
const expected = Array.from(
  everyLevel,
  (level, index) => (level / 255 - channelMean[index % 3]!) / channelDeviation[index % 3]!,
);

it("brings ImageNet's mean to zero and one deviation to one", () => {
  const pixels = [0.485, 0.456, 0.406, 0.714, 0.68, 0.631].map((value) => value * 255);
  expectClose(normalised(tf.tensor(pixels, [1, 2, 3])), [0, 0, 0, 1, 1, 1], 1e-5);
});

it("has the formula's value for every level of every channel, in the graph and in memory", () => {
  const images = normalised(tf.tensor(Float32Array.from(everyLevel), [1, 16, 16, 3]));
  expect(images.shape).toEqual([1, 16, 16, 3]);
  expectClose(images, expected, 1e-6);
  for (const [index, value] of normalisedPixels(everyLevel).entries()) expect(value).toBeCloseTo(expected[index]!, 6);
});
