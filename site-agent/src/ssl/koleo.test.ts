import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, noise, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { koleo } from "./koleo.js";

describe("koleo", () => {
  it("has the value of an independent evaluation, whatever the features' lengths", () => {
    const features = wave([6, 8], 4) as Tensor2D;
    expectClose(koleo(features), [0.46290233543117076], 1e-5);
    expectClose(
      koleo(tf.mul(features, tf.tensor2d([1, 2, 3, 4, 5, 6], [6, 1])) as Tensor2D),
      [0.46290233543117076],
      1e-5,
    );
  });

  it("falls when features spread", () => {
    const near = tf.add(tf.ones([8, 16]), noise([8, 16], 1).mul(0.01)) as Tensor2D;
    const far = noise([8, 16], 1) as Tensor2D;
    expect(koleo(far).dataSync()[0]!).toBeLessThan(koleo(near).dataSync()[0]!);
    // Neighbours of random directions in many dimensions are about √2 apart.
    expect(koleo(noise([16, 512], 2) as Tensor2D).dataSync()[0]!).toBeCloseTo(-Math.log(Math.SQRT2), 1);
  });

  it("agrees with finite differences, also for two rows at one place", () => {
    expectGradients(({ x }) => koleo(x as Tensor2D), { x: wave([6, 8], 4) }, { step: 1e-3, tolerance: 1e-2 });
    const twins = tf.ones([2, 4]) as Tensor2D;
    expect(tf.all(tf.isFinite(tf.grad((x) => koleo(x as Tensor2D))(twins))).dataSync()[0]).toBe(1);
  });
});
