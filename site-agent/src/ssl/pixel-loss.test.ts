import { describe, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { tf } from "../model/tf.js";
import { pixelLoss } from "./pixel-loss.js";

const target = wave([2, 4, 12], 1);
const prediction = wave([2, 4, 12], 2);
const mask = tf.tensor2d([
  [1, 1, 1, 0],
  [0, 1, 1, 1],
]);

describe("pixelLoss", () => {
  it("has the published values", () => {
    expectClose(pixelLoss({ prediction, target, mask, normalize: true }), [0.7014118902640609]);
    expectClose(pixelLoss({ prediction, target, mask, normalize: false }), [0.4592038445254552]);
  });

  it("has the gradient of finite differences", () => {
    expectGradients(({ x }) => pixelLoss({ prediction: x!, target, mask, normalize: true }), { x: prediction });
  });
});
