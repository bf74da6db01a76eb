import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { ntXent } from "./nt-xent.js";

const views = tf.concat([wave([4, 8], 1), wave([4, 8], 2)], 0) as Tensor2D;

describe("ntXent", () => {
  it("has the published value", () => {
    expectClose(ntXent(views, 0.5), [1.9208645025241056]);
  });

  it("is ln(2n - 1) when all views are alike", () => {
    expectClose(ntXent(tf.ones([10, 4]), 0.5), [Math.log(9)]);
  });

  it("does not depend on the length of a projection", () => {
    expectClose(ntXent(tf.mul(views, 7), 0.5), ntXent(views, 0.5).dataSync());
  });

  it("stays finite at a low temperature", () => {
    expect(Number.isFinite(ntXent(views, 0.01).dataSync()[0])).toBe(true);
  });

  it("has the gradient of finite differences", () => {
    expectGradients(({ x }) => ntXent(x as Tensor2D, 0.5), { x: views });
  });
});
