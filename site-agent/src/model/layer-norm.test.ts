import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, relativeDistance, wave } from "../../../test/support/golden.js";
import { layerNorm } from "./layer-norm.js";
import { type Tensor, tf } from "./tf.js";

const epsilon = 1e-6;

function plain(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(variance, epsilon))), weight), bias);
}

describe("layerNorm", () => {
  const x = wave([2, 8], 1);
  const weight = tf.add(wave([8], 2, 0.1), 1);
  const bias = wave([8], 3, 0.1);

  it("has the published values", () => {
    expectClose(
      layerNorm({ x, weight, bias, epsilon }),
      [
        1.3081160468966802, 1.3953067460116804, 0.8422708851805124, 0.004915391621229906, -0.7451994935361037,
        -1.1586558612272833, -1.0538775630780894, -0.381148587504559, 0.40921707529849644, 1.087355295310653,
        1.1542306090588683, 0.6779085436262913, -0.07081269822709654, -0.8234149158390178, -1.3011383378323,
        -1.2212484098164367,
      ],
    );
  });

  it("has the gradients of automatic differentiation", () => {
    const dy = wave([2, 8], 5);
    const ours = tf.grads((a: Tensor, b: Tensor, c: Tensor) => layerNorm({ x: a, weight: b, bias: c, epsilon }));
    const theirs = tf.grads(plain)([x, weight, bias], dy);
    for (const [index, gradient] of ours([x, weight, bias], dy).entries()) {
      expect(gradient.shape).toEqual(theirs[index]?.shape);
      expect(relativeDistance(gradient, theirs[index]!)).toBeLessThan(1e-5);
    }
  });

  it("has the gradients of finite differences on rank 3", () => {
    const dy = wave([2, 3, 8], 5);
    expectGradients(
      ({ x: a, weight: b, bias: c }) => tf.sum(tf.mul(layerNorm({ x: a!, weight: b!, bias: c!, epsilon }), dy)),
      { x: wave([2, 3, 8], 1), weight, bias },
    );
  });
});
