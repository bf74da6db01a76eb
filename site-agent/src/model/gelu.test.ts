import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, relativeDistance, wave } from "../../../test/support/golden.js";
import { gelu } from "./gelu.js";
import { type Tensor, tf } from "./tf.js";

const plain = (x: Tensor): Tensor => tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5));

describe("gelu", () => {
  it("has the published values", () => {
    expectClose(
      gelu(tf.tensor1d([-2, -1, 0, 0.5, 1, 2])),
      [-0.04550026389635842, -0.15865525393145707, 0, 0.34573123063700656, 0.8413447460685429, 1.9544997361036416],
    );
  });

  it("has the gradient of automatic differentiation and of finite differences", () => {
    const x = wave([3, 5], 1, 2);
    const dy = wave([3, 5], 4);
    expect(relativeDistance(tf.grad(gelu)(x, dy), tf.grad(plain)(x, dy))).toBeLessThan(1e-5);
    expectGradients(({ x: input }) => tf.sum(tf.mul(gelu(input!), dy)), { x });
  });
});
