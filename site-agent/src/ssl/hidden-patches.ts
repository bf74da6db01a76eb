import type { MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { gridSize, patchCount } from "@consilium/shared/params/architecture.js";
import { permutation, type Random } from "@consilium/shared/random.js";
import { parameterOf } from "../model/layers.js";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";
import { dinov2Blocks, drawBlockMask, drawRandomMask, ibotBlocks } from "./block-masks.js";
import { viewMajor } from "./distillation-loss.js";

type MaskedConfig = MethodOf<"ibot"> | MethodOf<"dinov2">;

/** Global crops of an image. */
const crops = 2;

/**
 * Most patches that a crop can have hidden.
 * @throws ConsiliumError "config-invalid" when that is none
 */
export function mostHidden(model: VitConfig, { maskRatio: [, most] }: MaskedConfig): number {
  const count = Math.floor(patchCount(model) * most + 1e-9);
  if (count >= 1) return count;
  throw new ConsiliumError("config-invalid", `maskRatio ${most} hides none of ${patchCount(model)} patches`, {
    remedy: "raise the largest mask ratio, or choose smaller patches",
  });
}

/**
 * Which patches of the global crops the student does not see. `hidden` [batch, 2, patches]: 1 where hidden;
 * `hiddenPlaces` int32 [batch, 2, most]: the same as places, filled up with 0; `hiddenWeights` [batch, 2, most]: one over
 * the number of hidden patches of the crop, 0 for what fills up.
 */
export function hiddenPatchInputs(batch: number, model: VitConfig, config: MaskedConfig): TensorSpecs {
  const most = mostHidden(model, config);
  return {
    hidden: { shape: [batch, crops, patchCount(model)], dtype: "float32" },
    hiddenPlaces: { shape: [batch, crops, most], dtype: "int32" },
    hiddenWeights: { shape: [batch, crops, most], dtype: "float32" },
  };
}

/** Shapes as in `hiddenPatchInputs`. */
export function drawHiddenPatches(batch: number, model: VitConfig, config: MaskedConfig, random: Random): HostTensors {
  const [patches, most] = [patchCount(model), mostHidden(model, config)];
  const hidden = new Float32Array(batch * crops * patches);
  const places = new Int32Array(batch * crops * most);
  const weights = new Float32Array(batch * crops * most);
  const grid = gridSize(model);
  for (const [crop, budget] of drawBudgets(batch * crops, patches, config, random).entries()) {
    const mask = drawMask(budget, grid, config, random);
    const chosen = [...mask.keys()].filter((place) => mask[place] === 1);
    for (const [index, place] of chosen.entries()) {
      hidden[crop * patches + place] = 1;
      places[crop * most + index] = place;
      weights[crop * most + index] = 1 / chosen.length;
    }
  }
  return {
    hidden: { shape: [batch, crops, patches], data: hidden },
    hiddenPlaces: { shape: [batch, crops, most], data: places },
    hiddenWeights: { shape: [batch, crops, most], data: weights },
  };
}

function drawMask(budget: number, grid: number, config: MaskedConfig, random: Random): Uint8Array {
  if (budget === 0) return new Uint8Array(grid ** 2);
  if (config.name === "dinov2") return drawBlockMask(budget, dinov2Blocks(grid), random);
  if (config.maskShape === "random") return drawRandomMask(budget, grid, random);
  return drawBlockMask(budget, ibotBlocks(grid), random);
}

/** How many patches each crop may hide. */
function drawBudgets(count: number, patches: number, config: MaskedConfig, random: Random): number[] {
  const { maskRatio, maskProbability } = config;
  const between = (least: number, most: number): number =>
    Math.floor(patches * (least + (most - least) * random.uniform()) + 1e-9);
  const [least, most] = maskRatio;
  if (config.name === "ibot") {
    return Array.from({ length: count }, () => (random.uniform() < maskProbability ? between(least, most) : 0));
  }
  // DINOv2 masks a fixed number of crops and takes each ratio from a strip of its own, so that a batch has them all.
  const masked = Math.floor(count * maskProbability);
  const strip = (most - least) / Math.max(1, masked);
  const budgets = Array.from({ length: count }, (_, index) =>
    index < masked ? between(least + index * strip, least + (index + 1) * strip) : 0,
  );
  return Array.from(permutation(count, random), (place) => budgets[place] ?? 0);
}

export interface HiddenRows {
  /** int32 [2 × batch × most]: rows of [2 × batch × patches, width], one view after the other. */
  readonly rows: Tensor1D;
  /** [2 × batch × most] */
  readonly weights: Tensor;
  /** [2 × batch × most]: 1 for a hidden patch, 0 for what fills up. */
  readonly present: Tensor;
}

/** @param batch with the inputs of `hiddenPatchInputs` */
export function hiddenRows(batch: NamedTensors, patches: number): HiddenRows {
  const places = viewMajor(parameterOf(batch, "hiddenPlaces"));
  const count = places.shape[0] ?? 0;
  const firsts = tf.reshape(tf.range(0, count * patches, patches, "int32"), [count, 1]);
  const weights = tf.reshape(viewMajor(parameterOf(batch, "hiddenWeights")), [-1]);
  return {
    rows: tf.reshape(tf.add(places, firsts), [-1]) as Tensor1D,
    weights,
    present: tf.cast(tf.greater(weights, 0), "float32"),
  };
}

/** Tokens [crops, patches, width] → those of hidden patches [rows, width]. */
export function tokensAt(tokens: Tensor3D, { rows }: HiddenRows): Tensor2D {
  return tf.gather(tf.reshape(tokens, [-1, tokens.shape[2]]), rows) as Tensor2D;
}
