import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { architectureOf, gridSize, patchCount } from "@consilium/shared/params/architecture.js";
import { sinCosPositions } from "@consilium/shared/params/positions.js";
import { resizePositions } from "./resize-positions.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor3D, tf } from "./tf.js";

/** Fixed sine and cosine positions as a constant [1, 1 + patches, width]; the class token's row is zero. */
export function fixedPositions(model: VitConfig, width = architectureOf(model).width): Tensor3D {
  return tf.tensor3d(sinCosPositions(gridSize(model), width), [1, patchCount(model) + 1, width]);
}

/** Adds fixed positions where a method does not train them, so that an encoder finds `pos_embed` either way. */
export function withPositions(parameters: NamedTensors, model: VitConfig): NamedTensors {
  return "pos_embed" in parameters ? parameters : { ...parameters, pos_embed: fixedPositions(model) };
}

/** Added to a grid's side before the distance of samples is computed, as DINO, iBOT and DINOv2 have it. */
const sizeOffset = 0.1;

/**
 * Positions [1, 1 + patches, width] for images of another grid, such as small crops. DINOv2's models with registers
 * resize to the exact size with smoothing, the others without (Oquab et al. 2023, Darcet et al. 2024).
 */
export function positionsFor({ registers = 0 }: VitConfig, positions: Tensor, grid: number): Tensor3D {
  return resizePositions(positions, grid, registers > 0 ? { antialias: true } : { offset: sizeOffset });
}
