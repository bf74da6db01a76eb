import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { architectureOf, gridSize, patchCount } from "@consilium/shared/params/architecture.js";
import { sinCosPositions } from "@consilium/shared/params/positions.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor3D, tf } from "./tf.js";

/** Fixed sine and cosine positions as a constant [1, 1 + patches, width]; the class token's row is zero. */
export function fixedPositions(model: ModelConfig, width = architectureOf(model).width): Tensor3D {
  return tf.tensor3d(sinCosPositions(gridSize(model), width), [1, patchCount(model) + 1, width]);
}

/** Adds fixed positions where a method does not train them, so that an encoder finds `pos_embed` either way. */
export function withPositions(parameters: NamedTensors, model: ModelConfig): NamedTensors {
  return "pos_embed" in parameters ? parameters : { ...parameters, pos_embed: fixedPositions(model) };
}
