import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, relativeDistance, wave } from "../../../test/support/golden.js";
import { batchNorm, normalizeBy, observe } from "./batch-norm.js";
import { type Tensor, tf } from "./tf.js";

const epsilon = 1e-5;
const shape = [2, 3, 2, 4];
const x = wave(shape, 1, 2);
const weight = tf.add(wave([4], 2, 0.3), 1);
const bias = wave([4], 3, 0.5);

/** With the gradient of automatic differentiation. */
function plain(input: Tensor, scale: Tensor, shift: Tensor): Tensor {
  const { mean, variance } = tf.moments(input, [0, 1, 2]);
  return tf.add(tf.mul(tf.div(tf.sub(input, mean), tf.sqrt(tf.add(variance, epsilon))), scale), shift);
}

describe("batchNorm", () => {
  it("gives every channel its bias as mean and its weight as deviation", () => {
    const { mean, variance } = tf.moments(batchNorm({ x, weight, bias, epsilon }), [0, 1, 2]);
    expectClose(mean, bias.dataSync(), 1e-5);
    expectClose(tf.sqrt(variance), weight.dataSync(), 1e-4);
  });

  it("has the value and the gradients of automatic differentiation", () => {
    const dy = wave(shape, 5);
    const ours = (a: Tensor, b: Tensor, c: Tensor) => batchNorm({ x: a, weight: b, bias: c, epsilon });
    expect(relativeDistance(ours(x, weight, bias), plain(x, weight, bias))).toBeLessThan(1e-6);
    const theirs = tf.grads(plain)([x, weight, bias], dy);
    for (const [index, gradient] of tf.grads(ours)([x, weight, bias], dy).entries()) {
      expect(gradient.shape).toEqual(theirs[index]?.shape);
      expect(relativeDistance(gradient, theirs[index]!)).toBeLessThan(1e-5);
    }
  });

  it("has the gradients of finite differences", () => {
    const dy = wave(shape, 5);
    expectGradients(
      ({ x: a, weight: b, bias: c }) => tf.sum(tf.mul(batchNorm({ x: a!, weight: b!, bias: c!, epsilon }), dy)),
      { x, weight, bias },
    );
  });
});

describe("observe", () => {
  it("moves a tenth of the way to the batch's mean and unbiased variance", () => {
    const batch = tf.tensor4d([1, 2, 3, 4], [4, 1, 1, 1]);
    const after = observe(batch, { mean: tf.tensor1d([0]), variance: tf.tensor1d([1]) });
    expectClose(after.mean, [0.25], 1e-6);
    expectClose(after.variance, [0.9 + 0.1 * (5 / 3)], 1e-6);
  });
});

describe("normalizeBy", () => {
  it("normalises as in training when the statistics are the batch's own", () => {
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    const input = { x, weight, bias, epsilon };
    expect(relativeDistance(normalizeBy({ mean, variance }, input), batchNorm(input))).toBeLessThan(1e-6);
  });

  it("does not depend on other images", () => {
    const before = { mean: wave([4], 1), variance: tf.add(wave([4], 2, 0.5), 1) };
    const all = normalizeBy(before, { x, weight, bias, epsilon });
    const second = tf.slice(x, [1, 0, 0, 0], [1, -1, -1, -1]);
    const alone = normalizeBy(before, { x: second, weight, bias, epsilon });
    expectClose(alone, tf.slice(all, [1, 0, 0, 0], [1, -1, -1, -1]).dataSync(), 0);
  });
});
