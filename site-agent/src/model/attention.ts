import { type Tensor, tf } from "./tf.js";

interface Saved {
  /** Each [batch, heads, width / heads, tokens]. */
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  /** [batch, heads, tokens, tokens], rows sum to one. */
  readonly weights: Tensor;
  /** [batch, tokens, width] */
  readonly mixed: Tensor;
}

/**
 * Multi-head scaled dot-product attention (Vaswani et al. 2017): queries, keys and values side by side
 * [batch, tokens, 3 × width] → [batch, tokens, width].
 *
 * Heads are kept with tokens last, which leaves the large products without transposes. The hand-written gradient takes
 * the softmax's row sums from the output instead of the weights (Dao et al. 2022): two passes over [tokens, tokens]
 * instead of four.
 */
export function attend(qkv: Tensor, heads: number): Tensor {
  const withGradient = tf.customGrad((...args) => {
    const [input, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const { query, key, value, weights, mixed } = forward(input, heads);
    save([query, key, value, weights, mixed]);
    return {
      value: mixed,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [first, second, third, fourth, fifth] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor];
        return backward(dy, { query: first, key: second, value: third, weights: fourth, mixed: fifth });
      },
    };
  });
  return withGradient(qkv);
}

function forward(qkv: Tensor, heads: number): Saved {
  const [batch = 0, tokens = 0, width = 0] = qkv.shape;
  const perHead = width / 3 / heads;
  const [query, key, value] = tf
    .split(tf.transpose(qkv, [0, 2, 1]), 3, 1)
    .map((part) => tf.reshape(part, [batch, heads, perHead, tokens])) as [Tensor, Tensor, Tensor];
  const scores = tf.matMul(tf.mul(query, scaleOf(perHead)), key, true, false);
  const weights: Tensor = tf.softmax(scores);
  const perHeadMixed = tf.matMul(weights, value, false, true);
  const mixed = tf.reshape(tf.transpose(perHeadMixed, [0, 2, 1, 3]), [batch, tokens, width / 3]);
  return { query, key, value, weights, mixed };
}

/** dS = P ∘ (dP − rowsum(dO ∘ O)) */
function backward(dy: Tensor, { query, key, value, weights, mixed }: Saved): Tensor {
  const [batch = 0, heads = 0, perHead = 0, tokens = 0] = query.shape;
  const rows = tf.sum(tf.reshape(tf.mul(dy, mixed), [batch, tokens, heads, perHead]), -1);
  const rowSums = tf.reshape(tf.transpose(rows, [0, 2, 1]), [batch, heads, tokens, 1]);
  const dMixed = tf.reshape(tf.transpose(dy, [0, 2, 1]), [batch, heads, perHead, tokens]);
  const dScores = tf.mul(weights, tf.sub(tf.matMul(dMixed, value, true, false), rowSums));
  const scale = scaleOf(perHead);
  const parts = [
    tf.mul(tf.matMul(key, dScores, false, true), scale),
    tf.mul(tf.matMul(query, dScores), scale),
    tf.matMul(dMixed, weights),
  ].map((part) => tf.reshape(part, [batch, heads * perHead, tokens]));
  return tf.transpose(tf.concat(parts, 1), [0, 2, 1]);
}

function scaleOf(perHead: number): number {
  return 1 / Math.sqrt(perHead);
}
