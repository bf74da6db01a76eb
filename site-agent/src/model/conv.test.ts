import { expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { convolve } from "./conv.js";
import { tf } from "./tf.js";

it("correlates each window with weights that stand as [outputs, inputs, rows, columns]", () => {
  const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
  const weight = tf.tensor4d([1, 10, 100, 1000, 0, 0, 0, 1], [2, 1, 2, 2]);
  const y = convolve(x, weight, { stride: 1, padding: 0 });
  expect(y.shape).toEqual([1, 2, 2, 2]);
  // 1 + 10 × 2 + 100 × 4 + 1000 × 5, and the element below on the right.
  expectClose(y, [5421, 5, 6532, 6, 8754, 8, 9865, 9], 0);
});

it("pads with zeros on every side and steps by the stride", () => {
  const y = convolve(tf.ones([1, 4, 4, 1]), tf.ones([1, 1, 3, 3]), { stride: 2, padding: 1 });
  expectClose(y, [4, 6, 6, 9], 0);
});

it("has the gradients of finite differences", () => {
  const dy = wave([2, 3, 3, 4], 5);
  expectGradients(({ x, weight }) => tf.sum(tf.mul(convolve(x!, weight!, { stride: 2, padding: 1 }), dy)), {
    x: wave([2, 5, 5, 3], 1),
    weight: wave([4, 3, 3, 3], 2, 0.3),
  });
});
