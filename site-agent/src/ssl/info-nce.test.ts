import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { infoNce } from "./info-nce.js";

const queries = wave([5, 8], 0) as Tensor2D;
const keys = wave([5, 8], 1.3) as Tensor2D;

describe("infoNce", () => {
  it("is 2 τ times the cross entropy of cosines (PyTorch 2.13, float64)", () => {
    expectClose(infoNce(queries, keys, 0.2), [1.2273826542658204]);
  });

  it("is 2 τ ln n when all keys look alike, and near zero when each query finds its own", () => {
    const alike = tf.add(tf.zeros([5, 8]), tf.slice(keys, [0, 0], [1, 8])) as Tensor2D;
    expectClose(infoNce(queries, alike, 0.2), [0.4 * Math.log(5)], 1e-6);
    const apart = tf.eye(5);
    expect(infoNce(apart, apart, 0.05).dataSync()[0]).toBeLessThan(1e-6);
  });

  it("does not depend on lengths", () => {
    const longer = tf.mul(queries, tf.tensor2d([1, 2, 3, 4, 5], [5, 1])) as Tensor2D;
    expectClose(infoNce(longer, tf.mul(keys, 7) as Tensor2D, 0.2), infoNce(queries, keys, 0.2).dataSync(), 1e-6);
  });

  it("has the gradients of finite differences", () => {
    expectGradients(({ q, k }) => infoNce(q as Tensor2D, k as Tensor2D, 0.2), { q: queries, k: keys });
  });
});
