import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { architectureOf, patchCount, patchValues } from "@consilium/shared/params/architecture.js";
import { blocks, norm, parameterOf } from "./layers.js";
import { patchify } from "./patches.js";
import { withPositions } from "./positions.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from "./tf.js";

/** The patches that an encoder sees, where it does not see all. */
export interface VisiblePatches {
  /** Per image. */
  readonly count: number;
  /** int32 [batch × count]: image × patches + patch. */
  readonly rows: Tensor1D;
  /** int32 [batch × count]: patch alone. */
  readonly places: Tensor1D;
}

export interface EncoderInput {
  readonly model: ModelConfig;
  /** Encoder tensors by name; `pos_embed` may be absent where positions are fixed. */
  readonly parameters: NamedTensors;
  /** float32 [batch, imageSize, imageSize, 3], normalised. */
  readonly images: Tensor;
  readonly visible?: VisiblePatches;
}

/**
 * Patches [rows, patchValues] → [rows, width]: the strided convolution as one product. The kernel, which is small, is put
 * into the pixels' order rather than the pixels into the kernel's.
 */
export function embedPatches(patches: Tensor, parameters: NamedTensors): Tensor {
  const kernel = parameterOf(parameters, "patch_embed.proj.weight");
  const weight = tf.reshape(tf.transpose(kernel, [0, 2, 3, 1]), [kernel.shape[0] ?? 0, -1]);
  return tf.add(
    tf.matMul(patches as Tensor2D, weight as Tensor2D, false, true),
    parameterOf(parameters, "patch_embed.proj.bias"),
  );
}

/** Embedded patches with their positions: [batch, visible or all patches, width]. */
function patchTokens({ model, parameters, images, visible }: EncoderInput, positions: Tensor): Tensor {
  const { width } = architectureOf(model);
  const batch = images.shape[0] ?? 0;
  const pixels = patchify(images, model.patchSize);
  const rows = tf.reshape(pixels, [batch * patchCount(model), patchValues(model)]);
  if (visible === undefined) {
    return tf.add(tf.reshape(embedPatches(rows, parameters), [batch, patchCount(model), width]), positions);
  }
  const seen = embedPatches(tf.gather(rows, visible.rows), parameters);
  const places = tf.gather(tf.reshape(positions, [patchCount(model), width]), visible.places);
  return tf.reshape(tf.add(seen, places), [batch, visible.count, width]);
}

/** Adds the token in front of every image's tokens: [batch, tokens, width] → [batch, 1 + tokens, width]. */
export function prependToken(tokens: Tensor, token: Tensor): Tensor3D {
  const [batch = 0, , width = 0] = tokens.shape;
  // Adding zeros broadcasts with a sum as gradient; the gradient of a tile would take a slice per image.
  const repeated = tf.add(tf.zeros([batch, 1, width]), token);
  return tf.concat([repeated as Tensor3D, tokens as Tensor3D], 1);
}

/** Class token, then patch tokens, after the final norm: [batch, 1 + visible or all patches, width]. */
export function encode(input: EncoderInput): Tensor3D {
  const { model } = input;
  const { width, heads, depth } = architectureOf(model);
  const parameters = withPositions(input.parameters, model);
  const positions = parameterOf(parameters, "pos_embed") as Tensor3D;
  const patchPositions = tf.slice(positions, [0, 1, 0], [1, patchCount(model), width]);
  const classToken = tf.add(parameterOf(parameters, "cls_token"), tf.slice(positions, [0, 0, 0], [1, 1, width]));
  const tokens = prependToken(patchTokens({ ...input, parameters }, patchPositions), classToken);
  const encoded = blocks(tokens, { parameters, name: "blocks" }, { heads, depth });
  return norm(encoded, { parameters, name: "norm" }) as Tensor3D;
}

/** What stands for each image: [batch, 1 + patches, width] → [batch, width]. */
export function pooled(tokens: Tensor3D, pooling: "class" | "mean"): Tensor2D {
  return pooling === "mean" ? meanPatchTokens(tokens) : classTokens(tokens);
}

/** Class token of encoded tokens: [batch, 1 + patches, width] → [batch, width]. */
export function classTokens(tokens: Tensor3D): Tensor2D {
  const [batch, , width] = tokens.shape;
  return tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]);
}

/** Mean of the patch tokens: [batch, 1 + patches, width] → [batch, width]. */
export function meanPatchTokens(tokens: Tensor3D): Tensor2D {
  const [batch, count, width] = tokens.shape;
  return tf.mean(tf.slice(tokens, [0, 1, 0], [batch, count - 1, width]), 1);
}
