import { colourBins } from "@consilium/shared/params/heads.js";
import { type Scalar, type Tensor, type Tensor2D, tf } from "../model/tf.js";

/** Bytes are 1 / 255 apart, and a byte on a border comes back from normalisation a rounding error beside it. */
const rounding = 1e-5;

/** Where the bins end: each includes its lower border, and the last its upper one. */
const borders = Array.from({ length: colourBins - 1 }, (_, bin) => (bin + 1) / colourBins - rounding);

/** Share of the pixels of one channel [batch, pixels] in each of five equal bins of 0 … 1: [batch, 5]. */
function channelShares(channel: Tensor2D): Tensor2D {
  const above = borders.map((border) => tf.mean(tf.cast(tf.greaterEqual(channel, border), "float32"), 1, true));
  const all = tf.onesLike(above[0] ?? channel);
  const none = tf.zerosLike(all);
  const reached = [all, ...above, none];
  return tf.concat(
    reached.slice(0, -1).map((share, bin) => tf.sub(share, reached[bin + 1] ?? none) as Tensor2D),
    1,
  );
}

/**
 * Histograms of red and blue side by side, which together sum to one: two [batch, pixels] → [batch, 10]. Values outside
 * 0 … 1 count to the nearest bin.
 */
export function redBlueHistogram(red: Tensor2D, blue: Tensor2D): Tensor2D {
  return tf.mul(tf.concat([channelShares(red), channelShares(blue)], 1), 0.5);
}

/** So that a bin without pixels adds zero. */
const tiny = 1e-30;

/**
 * KL divergence of the predicted distribution from the target, summed over the bins of an image and averaged over images,
 * which keeps it independent of the batch size. Target [batch, bins]; logits [batch, bins].
 */
export function histogramLoss(target: Tensor2D, logits: Tensor): Scalar {
  const ratio = tf.sub(tf.log(tf.add(target, tiny)), tf.logSoftmax(logits as Tensor2D));
  return tf.mean(tf.sum(tf.mul(target, ratio), 1));
}
