import type { MethodOf } from "../config/method-config.js";
import { isVit, type ModelConfig, type ResnetConfig, type VitConfig } from "../config/model-config.js";
import { ConsiliumError, unreachable } from "../errors.js";
import { architectureOf, featureWidth, patchValues } from "./architecture.js";
import type { Initializer, ParameterSpec } from "./layout.js";
import type { LayoutConfig } from "./parameters.js";
import { convolution, linear, norm, normal, truncated, xavier } from "./specs.js";
import { vitBlock } from "./vit.js";

/** What a method trains besides the encoder. */

function simclrHead(width: number, { projectionDim }: MethodOf<"simclr">): ParameterSpec[] {
  return [
    ...linear("head.fc1", { inputs: width, outputs: width }, xavier),
    ...linear("head.fc2", { inputs: width, outputs: projectionDim }, xavier),
  ];
}

/** Linear, norm, rectifier, linear. */
function byolMlp(name: string, inputs: number, { hiddenDim, projectionDim }: MethodOf<"byol">): ParameterSpec[] {
  return [
    ...linear(`${name}.fc1`, { inputs, outputs: hiddenDim }, xavier),
    ...norm(`${name}.norm`, hiddenDim),
    ...linear(`${name}.fc2`, { inputs: hiddenDim, outputs: projectionDim }, xavier),
  ];
}

interface PrototypeHead {
  readonly hiddenDim: number;
  readonly bottleneckDim: number;
  readonly outputDim: number;
  /** Whether the prototypes' lengths are trained. */
  readonly lengths: boolean;
}

/**
 * DINO's head: three linear layers to the bottleneck, then weight-normalised prototypes, `last_layer.weight_v`
 * [K, bottleneck] and, where trained, their lengths `last_layer.weight_g` [K, 1].
 */
function prototypeHead(name: string, width: number, head: PrototypeHead): ParameterSpec[] {
  const { hiddenDim, bottleneckDim, outputDim, lengths } = head;
  const limit = 1 / Math.sqrt(bottleneckDim);
  const lengthSpec: ParameterSpec = {
    name: `${name}.last_layer.weight_g`,
    shape: [outputDim, 1],
    initializer: { kind: "ones" },
  };
  return [
    ...linear(`${name}.mlp.0`, { inputs: width, outputs: hiddenDim }, truncated),
    ...linear(`${name}.mlp.2`, { inputs: hiddenDim, outputs: hiddenDim }, truncated),
    ...linear(`${name}.mlp.4`, { inputs: hiddenDim, outputs: bottleneckDim }, truncated),
    ...(lengths ? [lengthSpec] : []),
    { name: `${name}.last_layer.weight_v`, shape: [outputDim, bottleneckDim], initializer: { kind: "uniform", limit } },
  ];
}

function dinov2Heads(width: number, method: MethodOf<"dinov2">): ParameterSpec[] {
  const names = method.sharedHead ? ["dino_head"] : ["dino_head", "ibot_head"];
  return names.flatMap((name) => prototypeHead(name, width, { ...method, lengths: true }));
}

function maeDecoder(model: VitConfig, method: MethodOf<"mae">): ParameterSpec[] {
  const { decoderWidth: width, decoderBlocks, decoderHeads } = method;
  if (width % decoderHeads !== 0) {
    throw new ConsiliumError("config-invalid", `decoderWidth ${width} is not a multiple of decoderHeads`, {
      remedy: `choose a number of heads that divides ${width}; ${decoderHeads} does not`,
    });
  }
  return [
    ...linear("decoder_embed", { inputs: architectureOf(model).width, outputs: width }, xavier),
    { name: "mask_token", shape: [1, 1, width], initializer: normal },
    ...Array.from({ length: decoderBlocks }, (_, index) =>
      vitBlock(`decoder_blocks.${index}`, { width, initializer: xavier }),
    ).flat(),
    ...norm("decoder_norm", width),
    ...linear("decoder_pred", { inputs: width, outputs: patchValues(model) }, xavier),
  ];
}

/** Three linear layers, then a transposed convolution whose kernel and stride are the patch: [width, 3, side, side]. */
function reconstructionHead(model: VitConfig): ParameterSpec[] {
  const { width } = architectureOf(model);
  const { patchSize: side } = model;
  const layers = ["fc1", "fc2", "fc3"].flatMap((name) =>
    linear(`reconstruction.${name}`, { inputs: width, outputs: width }, truncated),
  );
  return [
    ...layers,
    { name: "reconstruction.deconv.weight", shape: [width, 3, side, side], initializer: truncated },
    { name: "reconstruction.deconv.bias", shape: [3], initializer: { kind: "zeros" } },
  ];
}

/** SiT's projection: linear, norm, ReLU, linear, norm, GELU, linear, norm without weights. */
function sitProjection(width: number, { hiddenDim, projectionDim }: MethodOf<"sit">): ParameterSpec[] {
  return [
    ...linear("contrastive.fc1", { inputs: width, outputs: hiddenDim }, truncated),
    ...norm("contrastive.norm1", hiddenDim),
    ...linear("contrastive.fc2", { inputs: hiddenDim, outputs: hiddenDim }, truncated),
    ...norm("contrastive.norm2", hiddenDim),
    ...linear("contrastive.fc3", { inputs: hiddenDim, outputs: projectionDim }, truncated),
  ];
}

/** Bins of a channel's histogram; ColorMe predicts those of red and blue. */
export const colourBins = 5;

/** Channels after each block of the U-Net's decoder, deepest first. */
export const unetChannels = [256, 128, 64, 32, 16] as const;

/** Channels that join each block of the decoder from the encoder, deepest first; none joins the last. */
export function unetSkips(model: ResnetConfig): readonly number[] {
  return model.architecture === "resnet18" ? [256, 128, 64, 64, 0] : [1024, 512, 256, 64, 0];
}

function unetDecoder(model: ResnetConfig): ParameterSpec[] {
  const skips = unetSkips(model);
  const blocks = unetChannels.flatMap((outputs, index): ParameterSpec[] => {
    const below = unetChannels[index - 1] ?? featureWidth(model);
    const name = `decoder.blocks.${index}`;
    return [
      convolution(`${name}.conv1.0`, { inputs: below + (skips[index] ?? 0), outputs }, 3),
      ...norm(`${name}.conv1.1`, outputs),
      convolution(`${name}.conv2.0`, { inputs: outputs, outputs }, 3),
      ...norm(`${name}.conv2.1`, outputs),
    ];
  });
  const inputs = unetChannels.at(-1) ?? 0;
  return [
    ...blocks,
    // Small, so that colours start near zero; with a variance by its two outputs they would start far outside 0 … 1.
    { name: "decoder.head.weight", shape: [2, inputs, 3, 3], initializer: truncated },
    { name: "decoder.head.bias", shape: [2], initializer: { kind: "zeros" } },
  ];
}

/** Red and blue of each patch from its token. */
function colourDecoder(model: VitConfig): ParameterSpec[] {
  const outputs = 2 * model.patchSize ** 2;
  return linear("decoder.colours", { inputs: architectureOf(model).width, outputs }, truncated);
}

function colormeHead(model: ModelConfig): ParameterSpec[] {
  const initializer: Initializer = truncated;
  return [
    ...(isVit(model) ? colourDecoder(model) : unetDecoder(model)),
    ...linear("histogram", { inputs: featureWidth(model), outputs: 2 * colourBins }, initializer),
  ];
}

/** @throws ConsiliumError "internal" for a residual network with a method that needs patches; a run's check forbids it */
function vitOf(model: ModelConfig): VitConfig {
  if (isVit(model)) return model;
  throw new ConsiliumError("internal", `${model.architecture} has no patches`);
}

/** Encoder apart, every trained tensor of a method. */
export function headParameters({ model, method }: LayoutConfig): ParameterSpec[] {
  const width = featureWidth(model);
  switch (method.name) {
    case "simclr":
      return simclrHead(width, method);
    case "byol":
      return [...byolMlp("projector", width, method), ...byolMlp("predictor", method.projectionDim, method)];
    case "mae":
      return maeDecoder(vitOf(model), method);
    case "dino":
    case "ibot":
      return prototypeHead("dino_head", width, { ...method, lengths: !method.normalizeLastLayer });
    case "dinov2":
      return dinov2Heads(width, method);
    case "gmml":
      return reconstructionHead(vitOf(model));
    case "sit":
      return [...reconstructionHead(vitOf(model)), ...sitProjection(width, method)];
    case "colorme":
      return colormeHead(model);
    case "clusters":
      return [];
    default:
      return unreachable(method);
  }
}
