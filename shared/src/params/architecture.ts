import type { ModelConfig } from "../config/run-config.js";

/** Dimensions of a vision transformer, as timm's models of the same size have them. */
export interface Architecture {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

/** Hidden width of a block's MLP, as a multiple of the block's width. */
export const mlpRatio = 4;

export const layerNormEpsilon = 1e-6;

/** vit-nano is for tests, CPUs and small images; the others are the field's. */
const architectures: Readonly<Record<ModelConfig["architecture"], Architecture>> = {
  "vit-nano": { width: 96, depth: 4, heads: 3 },
  "vit-tiny": { width: 192, depth: 12, heads: 3 },
  "vit-small": { width: 384, depth: 12, heads: 6 },
  "vit-base": { width: 768, depth: 12, heads: 12 },
};

export function architectureOf(model: Pick<ModelConfig, "architecture">): Architecture {
  return architectures[model.architecture];
}

/** Patches along one side of the image. */
export function gridSize(model: Pick<ModelConfig, "imageSize" | "patchSize">): number {
  return model.imageSize / model.patchSize;
}

export function patchCount(model: Pick<ModelConfig, "imageSize" | "patchSize">): number {
  return gridSize(model) ** 2;
}

/** Values in one patch: 3 channels × side². */
export function patchValues(model: Pick<ModelConfig, "patchSize">): number {
  return 3 * model.patchSize ** 2;
}
