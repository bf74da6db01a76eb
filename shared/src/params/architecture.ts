import { isVit, type ModelConfig, type VitConfig } from "../config/model-config.js";
import { resnetArchitecture } from "./resnet.js";

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
const architectures: Readonly<Record<VitConfig["architecture"], Architecture>> = {
  "vit-nano": { width: 96, depth: 4, heads: 3 },
  "vit-tiny": { width: 192, depth: 12, heads: 3 },
  "vit-small": { width: 384, depth: 12, heads: 6 },
  "vit-base": { width: 768, depth: 12, heads: 12 },
  "vit-large": { width: 1024, depth: 24, heads: 16 },
};

export function architectureOf(model: Pick<VitConfig, "architecture">): Architecture {
  return architectures[model.architecture];
}

/** Values of the vector that stands for an image. */
export function featureWidth(model: ModelConfig): number {
  return isVit(model) ? architectureOf(model).width : resnetArchitecture(model.architecture).features;
}

/** Patches along one side of the image. */
export function gridSize(model: Pick<VitConfig, "imageSize" | "patchSize">): number {
  return model.imageSize / model.patchSize;
}

export function patchCount(model: Pick<VitConfig, "imageSize" | "patchSize">): number {
  return gridSize(model) ** 2;
}

/** Values in one patch: 3 channels × side². */
export function patchValues(model: Pick<VitConfig, "patchSize">): number {
  return 3 * model.patchSize ** 2;
}
