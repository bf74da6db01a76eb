import type { MethodConfig } from "../config/method-config.js";
import { isVit, type ModelConfig } from "../config/model-config.js";
import { architectureOf, gridSize } from "./architecture.js";
import { clusterTensors } from "./cluster-tensors.js";
import { headParameters } from "./heads.js";
import { type ParameterLayout, type ParameterSpec, placeParameters } from "./layout.js";
import { sinCosPositions } from "./positions.js";
import { resnetParameters } from "./resnet.js";
import { vitParameters } from "./vit.js";

export interface LayoutConfig {
  readonly model: ModelConfig;
  readonly method: MethodConfig;
}

/** A tensor that every site computes alike, so that it is neither trained nor sent. */
export interface FixedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The encoder's trained tensors, named as timm's ViT or torchvision's ResNet checkpoints. */
export function encoderParameters({ model, method }: LayoutConfig): ParameterSpec[] {
  if (isVit(model)) return vitParameters(model, method);
  return resnetParameters(model.architecture, method.name === "colorme" ? 1 : 3);
}

/**
 * Every trained tensor of a run, encoder first, then heads or decoder; of a run of clusters its statistics.
 * @throws ConsiliumError "config-invalid" when widths and heads do not fit
 */
export function parameterLayout(config: LayoutConfig): ParameterLayout {
  if (config.method.name === "clusters") return placeParameters(clusterTensors(config.method));
  return placeParameters([...encoderParameters(config), ...headParameters(config)]);
}

/**
 * Positions that a method computes instead of training them: `pos_embed` [1, N + 1, width] and, for the decoder,
 * `decoder_pos_embed` [1, N + 1, decoderWidth]. Empty where the layout has its own `pos_embed`.
 */
export function fixedTensors({ model, method }: LayoutConfig): ReadonlyMap<string, FixedTensor> {
  if (method.name !== "mae" || !isVit(model)) return new Map();
  const grid = gridSize(model);
  const positions = (width: number): FixedTensor => ({
    shape: [1, grid * grid + 1, width],
    data: sinCosPositions(grid, width),
  });
  return new Map([
    ["pos_embed", positions(architectureOf(model).width)],
    ["decoder_pos_embed", positions(method.decoderWidth)],
  ]);
}

const encoderNames =
  /^(?:cls_token$|pos_embed$|register_tokens$|patch_embed\.|blocks\.|norm\.|conv1\.|bn1\.|layer[1-4]\.)/;

/** Names of the layout's tensors that belong to the encoder, in layout order; the rest is a head or a decoder. */
export function encoderTensorNames(layout: Pick<ParameterLayout, "parameters">): readonly string[] {
  return layout.parameters.map(({ name }) => name).filter((name) => encoderNames.test(name));
}
