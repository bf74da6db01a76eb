import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import { runBlock } from "./block-runner.js";
import { greenChannel } from "./green.js";
import { block, type Layer, norm, parameterOf } from "./layers.js";
import { patchify } from "./patches.js";
import { positionsFor, withPositions } from "./positions.js";
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
  readonly model: VitConfig;
  /** Encoder tensors by name; `pos_embed` may be absent where positions are fixed. */
  readonly parameters: NamedTensors;
  /** float32 [batch, size, size, 3], normalised; size is a multiple of the patch size and need not be the model's. */
  readonly images: Tensor;
  readonly visible?: VisiblePatches;
  /** float32 [batch, patches]: 1 where the parameter `mask_token` stands instead of the patch. */
  readonly hidden?: Tensor;
  /**
   * float32 [batch, 2 × depth]: what the residual branches of each image are multiplied with, attention and MLP of the
   * first block first: 0, or one over the probability of staying (Huang et al. 2016).
   */
  readonly branchScales?: Tensor;
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

/** Pixels of the patches [batch, patches, values], of as many channels as the embedding reads. */
function patchPixels({ model, parameters, images }: EncoderInput): Tensor3D {
  const channels = parameterOf(parameters, "patch_embed.proj.weight").shape[1];
  return patchify(channels === 1 ? greenChannel(images) : images, model.patchSize);
}

/** Embedded patches with their positions: [batch, visible or all patches, width]. */
function embeddedPatches(input: EncoderInput, positions: Tensor): Tensor {
  const { parameters, visible, hidden } = input;
  const pixels = patchPixels(input);
  const [batch, patches, values] = pixels.shape;
  const width = positions.shape[2] ?? 0;
  const rows = tf.reshape(pixels, [batch * patches, values]);
  if (visible === undefined) {
    const embedded = tf.reshape(embedPatches(rows, parameters), [batch, patches, width]);
    return tf.add(hidden === undefined ? embedded : withMaskTokens(embedded, hidden, parameters), positions);
  }
  const seen = embedPatches(tf.gather(rows, visible.rows), parameters);
  const places = tf.gather(tf.reshape(positions, [patches, width]), visible.places);
  return tf.reshape(tf.add(seen, places), [batch, visible.count, width]);
}

/** [batch, patches, width] with the mask token where `hidden` [batch, patches] is one. */
function withMaskTokens(embedded: Tensor, hidden: Tensor, parameters: NamedTensors): Tensor {
  const [batch = 0, patches = 0, width = 0] = embedded.shape;
  const mask = tf.reshape(hidden, [batch, patches, 1]);
  const token = tf.reshape(parameterOf(parameters, "mask_token"), [1, 1, width]);
  return tf.add(tf.mul(embedded, tf.sub(1, mask)), tf.mul(mask, token));
}

/** Adds the token in front of every image's tokens: [batch, tokens, width] → [batch, 1 + tokens, width]. */
export function prependToken(tokens: Tensor, token: Tensor): Tensor3D {
  const [batch = 0, , width = 0] = tokens.shape;
  return tf.concat([repeated(token, batch, width), tokens as Tensor3D], 1);
}

/** [1, count, width] → [batch, count, width]. */
function repeated(token: Tensor, batch: number, width: number): Tensor3D {
  // Adding zeros broadcasts with a sum as gradient; the gradient of a tile would take a slice per image.
  return tf.add(tf.zeros([batch, token.shape[1] ?? 1, width]), token);
}

/** Class token, registers and patches before the first block: [batch, tokens, width]. */
function embeddedTokens(input: EncoderInput): Tensor3D {
  const { model, images } = input;
  const { width } = architectureOf(model);
  const parameters = withPositions(input.parameters, model);
  const grid = (images.shape[1] ?? 0) / model.patchSize;
  const positions = positionsFor(model, parameterOf(parameters, "pos_embed"), grid);
  const patchPositions = tf.slice(positions, [0, 1, 0], [1, grid * grid, width]);
  const classToken = tf.add(parameterOf(parameters, "cls_token"), tf.slice(positions, [0, 0, 0], [1, 1, width]));
  const patches = embeddedPatches({ ...input, parameters }, patchPositions) as Tensor3D;
  const batch = patches.shape[0];
  const registers = parameters["register_tokens"];
  const front = [repeated(classToken, batch, width), ...(registers ? [repeated(registers, batch, width)] : [])];
  return tf.concat([...front, patches], 1);
}

/** Outputs of all blocks, before the final norm: `depth` of [batch, tokens, width]. */
export function encodeBlocks(input: EncoderInput): Tensor3D[] {
  const { model, parameters, branchScales } = input;
  const { heads, depth } = architectureOf(model);
  const outputs: Tensor3D[] = [];
  let current: Tensor = embeddedTokens(input);
  for (let index = 0; index < depth; index++) {
    const name = `blocks.${index}`;
    const scales = branchScales === undefined ? {} : { [`${name}.branch_scales`]: pairOf(branchScales, index) };
    const run = (x: Tensor, own: NamedTensors) => block(x, { parameters: own, name }, { heads });
    current = runBlock(run, current, { name, parameters: { ...parameters, ...scales } });
    outputs.push(current as Tensor3D);
  }
  return outputs;
}

/** [batch, 2 × depth] → [batch, 2]. */
function pairOf(scales: Tensor, index: number): Tensor2D {
  return tf.slice(scales as Tensor2D, [0, 2 * index], [scales.shape[0] ?? 0, 2]);
}

/** The final norm: [batch, tokens, width] → the same. */
export function finalNorm(tokens: Tensor, parameters: NamedTensors): Tensor3D {
  const layer: Layer = { parameters, name: "norm" };
  return norm(tokens, layer) as Tensor3D;
}

/** Class token, registers, then patch tokens, after the final norm: [batch, tokens, width]. */
export function encode(input: EncoderInput): Tensor3D {
  return finalNorm(encodeBlocks(input).at(-1)!, input.parameters);
}
