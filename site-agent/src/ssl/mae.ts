import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import type { MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { patchCount } from "@consilium/shared/params/architecture.js";
import { viewPlan } from "../data/view-plan.js";
import { blocks, linear, norm, parameterOf } from "../model/layers.js";
import { patchify } from "../model/patches.js";
import { fixedPositions } from "../model/positions.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor1D, type Tensor3D, tf } from "../model/tf.js";
import { encode } from "../model/vit.js";
import { batchRows, drawMasks, type MaskShape, maskInputs, maskShape, permuteRows } from "./masking.js";
import type { SslMethod } from "./method.js";
import { pixelLoss } from "./pixel-loss.js";

type MaeConfig = MethodOf<"mae">;

interface Masked {
  readonly model: VitConfig;
  readonly config: MaeConfig;
  readonly shape: MaskShape;
  readonly parameters: NamedTensors;
  readonly batch: NamedTensors;
}

function placesOf(batch: NamedTensors, name: string): Tensor1D {
  return parameterOf(batch, name) as Tensor1D;
}

/** Patches of the whole batch that an input names within their images. */
function rowsOf(batch: NamedTensors, name: string, { patches }: MaskShape): Tensor1D {
  return batchRows(placesOf(batch, name), parameterOf(batch, "mask").shape[0] ?? 0, patches);
}

/** Class token and seen patches after the encoder: [batch, 1 + visible, width]. */
function encodeVisible({ model, shape, parameters, batch }: Masked): Tensor3D {
  const visible = {
    count: shape.visible,
    rows: rowsOf(batch, "visible", shape),
    places: placesOf(batch, "visible"),
  };
  return encode({ model, parameters, images: parameterOf(batch, "view"), visible });
}

/** Mask tokens where patches were hidden: [batch, 1 + visible, width] → [batch, 1 + patches, width], in image order. */
function fillMasked(tokens: Tensor3D, { shape, parameters, batch }: Masked): Tensor3D {
  const [images, , width] = tokens.shape;
  const { patches, visible } = shape;
  const classToken = tf.slice(tokens, [0, 0, 0], [images, 1, width]);
  const seen = tf.slice(tokens, [0, 1, 0], [images, visible, width]);
  // Adding zeros broadcasts with a sum as gradient; the gradient of a tile would take a slice per token.
  const hidden = tf.add(tf.zeros([images, patches - visible, width]), parameterOf(parameters, "mask_token"));
  const shuffled = tf.reshape(tf.concat([seen, hidden as Tensor3D], 1), [images * patches, width]);
  const restored = permuteRows(shuffled, rowsOf(batch, "restore", shape), rowsOf(batch, "shuffle", shape));
  return tf.concat([classToken, tf.reshape(restored, [images, patches, width])], 1);
}

/** Encoded tokens [batch, 1 + visible, width] → predicted pixels [batch, patches, 3 × side²]. */
function decode(encoded: Tensor3D, masked: Masked): Tensor {
  const { model, config, parameters } = masked;
  const { decoderWidth: width, decoderBlocks: depth, decoderHeads: heads } = config;
  const tokens = linear(encoded, { parameters, name: "decoder_embed" }) as Tensor3D;
  const placed = tf.add(fillMasked(tokens, masked), fixedPositions(model, width));
  const decoded = blocks(placed, { parameters, name: "decoder_blocks" }, { heads, depth });
  const patches = tf.slice(decoded as Tensor3D, [0, 1, 0], [tokens.shape[0], masked.shape.patches, width]);
  return linear(norm(patches, { parameters, name: "decoder_norm" }), { parameters, name: "decoder_pred" });
}

/** Masked autoencoder (He et al. 2022): encodes the visible patches and predicts the pixels of the hidden ones. */
export function mae(model: VitConfig, config: MaeConfig): SslMethod {
  const shape = maskShape(patchCount(model), config.maskRatio);
  return {
    name: "mae",
    views: viewPlan({ model, method: config }),
    separable: true,
    coupling: batchCoupling({ model, method: config }),
    extraInputs: (batchSize) => maskInputs(batchSize, shape),
    drawExtraInputs: (batchSize, random) => drawMasks(batchSize, shape, random),
    loss(parameters, batch) {
      const masked: Masked = { model, config, shape, parameters, batch };
      const prediction = decode(encodeVisible(masked), masked);
      const target = patchify(parameterOf(batch, "view"), model.patchSize);
      const mask = parameterOf(batch, "mask");
      return { loss: pixelLoss({ prediction, target, mask, normalize: config.normalizePixels }), terms: {} };
    },
  };
}
