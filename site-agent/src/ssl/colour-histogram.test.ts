import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { histogramLoss, redBlueHistogram } from "./colour-histogram.js";

/** Two images of three channels of four pixels, 0 … 1. */
const pixels = tf.div(tf.add(wave([2, 3, 4], 1), 1), 2);
const channel = (index: number) => tf.reshape(tf.slice(pixels, [0, index, 0], [2, 1, 4]), [2, 4]) as Tensor2D;
const logits = wave([2, 10], 3);

describe("redBlueHistogram", () => {
  const row = (...values: number[]) => tf.tensor2d([values]);

  it("counts red, then blue, as shares of all", () => {
    const histogram = redBlueHistogram(row(0, 0.19, 0.5, 0.9), row(0.3, 0.3, 0.7, 0.99));
    expectClose(histogram, [0.25, 0, 0.125, 0, 0.125, 0, 0.25, 0, 0.125, 0.125], 1e-6);
  });

  it("counts a border to the bin above, and white to the last", () => {
    const histogram = redBlueHistogram(row(0.2, 0.4, 0.6, 0.8), row(1, 1, 1, 0));
    expectClose(
      histogram,
      [0, 1, 1, 1, 1, 1, 0, 0, 0, 3].map((count) => count / 8),
      1e-6,
    );
  });

  it("is not moved by a rounding error beside a border", () => {
    const beside = row(0.2 - 1e-7, 0.4 + 1e-7, 0.6 - 1e-7, 0.8 - 1e-7);
    expectClose(
      redBlueHistogram(beside, row(1 + 1e-6, 1, 1 - 1e-6, -1e-6)),
      [0, 1, 1, 1, 1, 1, 0, 0, 0, 3].map((count) => count / 8),
      1e-6,
    );
  });

  it("sums to one for every image", () => {
    expectClose(tf.sum(redBlueHistogram(channel(0), channel(2)), 1), [1, 1], 1e-6);
  });
});

describe("histogramLoss", () => {
  const target = redBlueHistogram(channel(0), channel(2));

  it("has the value of an independent evaluation: the sum over bins, and the mean over images", () => {
    const sumOverBatch = 2.5120766562025154;
    expectClose(tf.mul(histogramLoss(target, logits), 2), [sumOverBatch], 1e-5);
  });

  it("does not change with the number of images", () => {
    const twice = histogramLoss(tf.concat([target, target], 0), tf.concat([logits, logits], 0));
    expectClose(twice, histogramLoss(target, logits).dataSync(), 1e-6);
  });

  it("is zero for the target itself, and never less", () => {
    const full = tf.softmax(wave([2, 10], 5)) as Tensor2D;
    expectClose(histogramLoss(full, tf.log(full)), [0], 1e-6);
    expect(histogramLoss(target, tf.zeros([2, 10])).dataSync()[0]).toBeGreaterThan(0);
  });

  it("has the gradients of finite differences", () => {
    expectGradients((given) => histogramLoss(target, given["logits"] as Tensor), { logits });
  });
});
