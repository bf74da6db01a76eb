import { describe, expect, it } from "vitest";
import { relativeDistance, wave } from "../../../test/support/golden.js";
import { attend } from "./attention.js";
import { type Tensor, tf } from "./tf.js";

/** Attention as the paper writes it, differentiated automatically. */
function plain(qkv: Tensor, heads: number): Tensor {
  const [batch = 0, tokens = 0, width = 0] = qkv.shape;
  const perHead = width / 3 / heads;
  const parts = tf.transpose(tf.reshape(qkv, [batch, tokens, 3, heads, perHead]), [2, 0, 3, 1, 4]);
  const [query, key, value] = tf
    .split(parts, 3, 0)
    .map((part) => tf.reshape(part, [batch, heads, tokens, perHead])) as [Tensor, Tensor, Tensor];
  const weights = tf.softmax(tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(perHead)));
  return tf.reshape(tf.transpose(tf.matMul(weights as Tensor, value), [0, 2, 1, 3]), [batch, tokens, width / 3]);
}

describe("attend", () => {
  it.each([
    { heads: 1, width: 4, tokens: 3 },
    { heads: 3, width: 12, tokens: 5 },
  ])("mixes values and has the gradient of automatic differentiation, $heads heads", ({ heads, width, tokens }) => {
    const qkv = wave([2, tokens, 3 * width], 1, 2);
    const dy = wave([2, tokens, width], 5);
    expect(relativeDistance(attend(qkv, heads), plain(qkv, heads))).toBeLessThan(1e-6);
    const ours = tf.grad((x: Tensor) => attend(x, heads))(qkv, dy);
    const theirs = tf.grad((x: Tensor) => plain(x, heads))(qkv, dy);
    expect(relativeDistance(ours, theirs)).toBeLessThan(1e-5);
  });

  it("keeps images apart", () => {
    const qkv = wave([2, 4, 24], 1);
    const first = tf.slice(qkv, [0, 0, 0], [1, 4, 24]);
    const alone = attend(first, 2);
    expect(relativeDistance(tf.slice(attend(qkv, 2), [0, 0, 0], [1, 4, 8]), alone)).toBeLessThan(1e-6);
  });
});
