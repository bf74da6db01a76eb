import type { OptimizerConfig } from "@consilium/shared/config/run-config.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";

export type ClippingMode = OptimizerConfig["clipping"];

/** Keeps the quotient finite where a gradient is zero, as PyTorch does. */
const epsilon = 1e-6;

const backbone = /^(?:cls_token|pos_embed|mask_token|register_tokens|reg_token|patch_embed|blocks|norm)$/;

/**
 * The part of the network that a parameter belongs to, by the first part of its name: "backbone" for the encoder's
 * tensors, "decoder" for those of a decoder, otherwise the first part itself, such as "head" or "predictor".
 */
export function subNetworkOf(name: string): string {
  const first = name.split(".")[0] ?? name;
  if (backbone.test(first)) return "backbone";
  return first.startsWith("decoder") ? "decoder" : first;
}

/** Tensors with the same group share a norm; none where every tensor has its own. */
export function clipGroupOf(name: string, mode: ClippingMode): string {
  return mode === "sub-network" ? subNetworkOf(name) : "";
}

export interface GradientSums {
  /** Its clip group, as `clipGroupOf` says. */
  readonly key: string;
  /** Sums of squares, one per tensor, of any shape. */
  readonly squareSum: Tensor;
}

export interface ClipOptions {
  readonly mode: ClippingMode;
  /** Largest L2 norm; absent: no clipping. */
  readonly limit: number | undefined;
  /** What makes gradients out of what was differentiated; absent: one. */
  readonly unscale: Tensor | undefined;
}

/**
 * What each gradient is to be multiplied with: `unscale`, and limit / (norm + 1e-6) where that is below one. The norm is
 * that of each tensor (DINO, Caron et al. 2021), of each sub-network (DINOv2, Oquab et al. 2023) or of all.
 * @returns one for each of the sums, of its shape or []; undefined stands for one
 */
export function clipFactors(sums: readonly GradientSums[], options: ClipOptions): (Tensor | undefined)[] {
  const { mode, limit, unscale } = options;
  if (limit === undefined) return sums.map(() => unscale);
  const factorOf = (squareSum: Tensor): Tensor => clipFactor(squareSum, limit, unscale);
  if (mode === "tensor") return sums.map(({ squareSum }) => factorOf(squareSum));
  const keys = [...new Set(sums.map(({ key }) => key))];
  const factors = new Map(keys.map((key) => [key, factorOf(totalOf(sums.filter((sum) => sum.key === key)))]));
  return sums.map(({ key }) => factors.get(key));
}

/** The sum of squares over all of them: []. */
export function totalOf(sums: readonly GradientSums[]): Scalar {
  return tf.sum(tf.concat(sums.map(({ squareSum }) => tf.reshape(squareSum, [-1]))));
}

function clipFactor(squareSum: Tensor, limit: number, unscale: Tensor | undefined): Tensor {
  const norm = unscaled(tf.sqrt(squareSum), unscale);
  return unscaled(tf.minimum(tf.div(limit, tf.add(norm, epsilon)), 1), unscale);
}

function unscaled(x: Tensor, unscale: Tensor | undefined): Tensor {
  return unscale === undefined ? x : tf.mul(x, unscale);
}
