import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { headNorm, plainHeadNorm } from "./head-norm.js";

const x = wave([5, 4], 1) as Tensor2D;
const parameters = { "norm.weight": tf.add(1, wave([4], 2, 0.1)), "norm.bias": wave([4], 3, 0.1) };
const layer = { parameters, name: "norm" };

describe("headNorm", () => {
  // Values: PyTorch 2.13, float64.
  it("normalises each value over the batch", () => {
    const y = headNorm(x, layer, "batch");
    const [first, fourth] = [tf.slice(y, [0, 0], [1, 4]), tf.slice(y, [3, 0], [1, 4])];
    expectClose(first, [1.7256439272846065, 1.1108568795527878, 0.5100901346230438, -0.15620956708350778]);
    expectClose(fourth, [-0.02175773672326686, -1.0315624739523102, -1.334351164551241, -1.4025064938019653]);
    const plain = tf.slice(plainHeadNorm(x, "batch"), [2, 0], [1, 4]);
    expectClose(plain, [0.5295433670853119, 0.9366607556262899, 0.9798185753759214, 0.8504638844119226]);
  });

  it("normalises each image over its values", () => {
    const second = tf.slice(headNorm(x, layer, "layer"), [1, 0], [1, 4]);
    expectClose(second, [0.47402384247040585, -1.2237334999111544, -0.8020782015904961, 1.2173232197086152]);
    const plain = tf.slice(plainHeadNorm(x, "layer"), [1, 0], [1, 4]);
    expectClose(plain, [0.421577874055856, -1.1227651617829537, -0.7254563866533239, 1.4266436743804212]);
  });

  it("knows an image's neighbours only over the batch", () => {
    const rest = tf.slice(x, [1, 0], [4, 4]);
    const changed: Tensor2D = tf.concat([tf.mul(tf.slice(x, [0, 0], [1, 4]), 3), rest], 0);
    const others = (y: Tensor2D) => tf.slice(y, [1, 0], [4, 4]).dataSync();
    expectClose(others(plainHeadNorm(changed, "layer")), others(plainHeadNorm(x, "layer")), 0);
    expect(() => expectClose(others(plainHeadNorm(changed, "batch")), others(plainHeadNorm(x, "batch")))).toThrow();
  });

  it.each(["batch", "layer"] as const)("has the gradients of finite differences: %s", (kind) => {
    const weights = wave([5, 4], 7);
    expectGradients(
      ({ rows, ...own }) =>
        tf.sum(tf.mul(headNorm(rows as Tensor2D, { parameters: own, name: "norm" }, kind), weights)),
      { rows: x, ...parameters },
    );
  });
});
