import type { MethodConfig, ModelConfig, RunConfig } from "../config/run-config.js";
import { ConsiliumError, unreachable } from "../errors.js";
import { architectureOf, gridSize, mlpRatio, patchCount, patchValues } from "./architecture.js";
import { type Initializer, type ParameterLayout, type ParameterSpec, placeParameters } from "./layout.js";
import { sinCosPositions } from "./positions.js";

export type LayoutConfig = Pick<RunConfig, "model" | "method">;

/** A tensor that every site computes alike, so that it is neither trained nor sent. */
export interface FixedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const zeros: Initializer = { kind: "zeros" };
const ones: Initializer = { kind: "ones" };
const xavier: Initializer = { kind: "xavier-uniform" };
const truncated: Initializer = { kind: "truncated-normal", std: 0.02 };
const normal: Initializer = { kind: "normal", std: 0.02 };

interface LinearShape {
  readonly inputs: number;
  readonly outputs: number;
}

function linear(name: string, { inputs, outputs }: LinearShape, initializer: Initializer): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], initializer },
    { name: `${name}.bias`, shape: [outputs], initializer: zeros },
  ];
}

function norm(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], initializer: ones },
    { name: `${name}.bias`, shape: [width], initializer: zeros },
  ];
}

function block(name: string, width: number, initializer: Initializer): ParameterSpec[] {
  const hidden = mlpRatio * width;
  return [
    ...norm(`${name}.norm1`, width),
    ...linear(`${name}.attn.qkv`, { inputs: width, outputs: 3 * width }, initializer),
    ...linear(`${name}.attn.proj`, { inputs: width, outputs: width }, initializer),
    ...norm(`${name}.norm2`, width),
    ...linear(`${name}.mlp.fc1`, { inputs: width, outputs: hidden }, initializer),
    ...linear(`${name}.mlp.fc2`, { inputs: hidden, outputs: width }, initializer),
  ];
}

/** Masked autoencoders start from Xavier's range and fixed positions, the others from a truncated normal. */
function encoder({ model, method }: LayoutConfig): ParameterSpec[] {
  const { width, depth } = architectureOf(model);
  const masked = method.name === "mae";
  const initializer = masked ? xavier : truncated;
  const positions: ParameterSpec = {
    name: "pos_embed",
    shape: [1, patchCount(model) + 1, width],
    initializer: truncated,
  };
  const patch = model.patchSize;
  return [
    { name: "cls_token", shape: [1, 1, width], initializer: masked ? normal : truncated },
    ...(masked ? [] : [positions]),
    { name: "patch_embed.proj.weight", shape: [width, 3, patch, patch], initializer },
    { name: "patch_embed.proj.bias", shape: [width], initializer: zeros },
    ...Array.from({ length: depth }, (_, index) => block(`blocks.${index}`, width, initializer)).flat(),
    ...norm("norm", width),
  ];
}

function simclrHead(width: number, projectionDim: number): ParameterSpec[] {
  return [
    ...linear("head.fc1", { inputs: width, outputs: width }, xavier),
    ...linear("head.fc2", { inputs: width, outputs: projectionDim }, xavier),
  ];
}

function maeDecoder(model: ModelConfig, method: Extract<MethodConfig, { name: "mae" }>): ParameterSpec[] {
  const { decoderWidth: width, decoderBlocks, decoderHeads } = method;
  if (width % decoderHeads !== 0) {
    throw new ConsiliumError("config-invalid", `decoderWidth ${width} is not a multiple of decoderHeads`, {
      remedy: `choose a number of heads that divides ${width}; ${decoderHeads} does not`,
    });
  }
  return [
    ...linear("decoder_embed", { inputs: architectureOf(model).width, outputs: width }, xavier),
    { name: "mask_token", shape: [1, 1, width], initializer: normal },
    ...Array.from({ length: decoderBlocks }, (_, index) => block(`decoder_blocks.${index}`, width, xavier)).flat(),
    ...norm("decoder_norm", width),
    ...linear("decoder_pred", { inputs: width, outputs: patchValues(model) }, xavier),
  ];
}

function headOf({ model, method }: LayoutConfig): ParameterSpec[] {
  switch (method.name) {
    case "simclr":
      return simclrHead(architectureOf(model).width, method.projectionDim);
    case "mae":
      return maeDecoder(model, method);
    default:
      return unreachable(method);
  }
}

/**
 * Every trained tensor of a run, encoder first, named as timm's ViT checkpoints and, for the decoder, the masked
 * autoencoder's.
 * @throws ConsiliumError "config-invalid" when widths and heads do not fit
 */
export function parameterLayout(config: LayoutConfig): ParameterLayout {
  return placeParameters([...encoder(config), ...headOf(config)]);
}

/**
 * Positions that a method computes instead of training them: `pos_embed` [1, N + 1, width] and, for the decoder,
 * `decoder_pos_embed` [1, N + 1, decoderWidth]. Empty where the layout has its own `pos_embed`.
 */
export function fixedTensors({ model, method }: LayoutConfig): ReadonlyMap<string, FixedTensor> {
  if (method.name !== "mae") return new Map();
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

const encoderNames = /^(?:cls_token$|pos_embed$|patch_embed\.|blocks\.|norm\.)/;

/** Names of the layout's tensors that belong to the encoder, in layout order; the rest is a head or a decoder. */
export function encoderTensorNames(layout: ParameterLayout): readonly string[] {
  return layout.parameters.map(({ name }) => name).filter((name) => encoderNames.test(name));
}
