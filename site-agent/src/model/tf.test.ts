import { expect, it } from "vitest";
import { type Tensor, tf } from "./tf.js";

it("sums the gradient of a repeated tensor over its repetitions, on every axis", () => {
  tf.tidy(() => {
    const x = tf.tensor2d([1, 2, 3], [1, 3]);
    const weights = tf.range(0, 24).reshape([4, 6]);
    const gradient = tf.grad((tensor: Tensor) => tf.sum(tf.mul(tf.tile(tensor, [4, 2]), weights)))(x);
    // Column j of x stands in columns j and j + 3 of all four rows.
    expect([...gradient.dataSync()]).toEqual([84, 92, 100]);
    expect(gradient.shape).toEqual([1, 3]);
  });
});
