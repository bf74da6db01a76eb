import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import { gelu } from "../model/gelu.js";
import { linear, parameterOf } from "../model/layers.js";
import { patchify } from "../model/patches.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";
import { patchTokens } from "../model/tokens.js";
import { finalNorm } from "../model/vit.js";

/** Blocks whose outputs GMML averages (Atito et al. 2021): 6, 8, 10 and 12 of twelve, counted from 1. */
export function averagedBlocks(model: VitConfig): readonly number[] {
  const { depth } = architectureOf(model);
  const first = Math.ceil(depth / 2);
  return Array.from({ length: Math.floor((depth - first) / 2) + 1 }, (_, index) => first + 2 * index);
}

/** Mean of the outputs of some blocks, counted from 1, after the final norm: [batch, tokens, width]. */
export function averagedTokens(
  outputs: readonly Tensor3D[],
  blocks: readonly number[],
  parameters: NamedTensors,
): Tensor3D {
  const chosen = blocks.map((block) => outputs[block - 1]!);
  const mean: Tensor = chosen.length === 1 ? chosen[0]! : tf.mul(tf.addN(chosen), 1 / chosen.length);
  return finalNorm(mean, parameters);
}

/**
 * Pixels of every patch from its token: three linear layers with GELU, then a transposed convolution whose kernel and
 * stride are the patch, which is one product. Tokens [batch, tokens, width] → [batch, patches, side² × 3], as `patchify`
 * orders them.
 */
export function reconstructedPatches(tokens: Tensor3D, parameters: NamedTensors, { registers }: VitConfig): Tensor3D {
  let hidden: Tensor = patchTokens(tokens, registers);
  for (const layer of ["fc1", "fc2", "fc3"])
    hidden = gelu(linear(hidden, { parameters, name: `reconstruction.${layer}` }));
  const kernel = parameterOf(parameters, "reconstruction.deconv.weight");
  const [width = 0, channels = 0, side = 0] = kernel.shape;
  const [batch = 0, patches = 0] = hidden.shape;
  const weight = tf.reshape(tf.transpose(kernel, [0, 2, 3, 1]), [width, side * side * channels]) as Tensor2D;
  const pixels = tf.matMul(tf.reshape(hidden, [batch * patches, width]) as Tensor2D, weight);
  const biased = tf.add(
    tf.reshape(pixels, [batch * patches * side * side, channels]),
    parameterOf(parameters, "reconstruction.deconv.bias"),
  );
  return tf.reshape(biased, [batch, patches, side * side * channels]);
}

export interface Restoration {
  /** [batch, patches, side² × 3] */
  readonly prediction: Tensor;
  /** Normalised: [batch, size, size, 3]. */
  readonly clean: Tensor;
  /** [batch, size, size, 1]: 1 where the loss counts. */
  readonly mask: Tensor;
}

/** Mean absolute difference over corrupted pixels of the whole batch; zero when none is. */
export function restorationLoss({ prediction, clean, mask }: Restoration, patchSize: number): Scalar {
  const counts = patchify(mask, patchSize);
  const [batch, patches, pixels] = counts.shape;
  const distances = tf.abs(tf.sub(prediction, patchify(clean, patchSize)));
  const perPixel = tf.sum(tf.reshape(distances, [batch, patches, pixels, 3]), -1);
  return tf.div(tf.sum(tf.mul(perPixel, counts)), tf.add(tf.mul(tf.sum(counts), 3), 1e-12));
}
