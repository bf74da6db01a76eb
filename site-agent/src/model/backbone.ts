import { isVit, type ModelConfig } from "@consilium/shared/config/model-config.js";
import { greenChannel } from "./green.js";
import { parameterOf } from "./layers.js";
import { resnet } from "./resnet.js";
import type { NamedTensors } from "./tensors.js";
import type { Tensor, Tensor2D } from "./tf.js";
import { pooled } from "./tokens.js";
import { type EncoderInput, encode } from "./vit.js";

export interface BackboneInput extends Pick<EncoderInput, "branchScales"> {
  readonly model: ModelConfig;
  /** Encoder tensors by name. */
  readonly parameters: NamedTensors;
  /** Running statistics of a residual network by name; only evaluation and their own update need them. */
  readonly statistics?: NamedTensors;
  /** float32 [batch, imageSize, imageSize, 3], normalised. */
  readonly images: Tensor;
  /** A transformer's token for the image. */
  readonly pooling: "class" | "mean";
  /** Residual networks normalise by the batch in training and by running statistics in evaluation. */
  readonly mode: "training" | "evaluation";
}

export interface BackboneOutput {
  /** [batch, featureWidth] */
  readonly features: Tensor2D;
  /** Running statistics after this batch; empty for transformers. */
  readonly statistics: NamedTensors;
}

/** Images to features, whatever the architecture. */
export function backbone(input: BackboneInput): BackboneOutput {
  const { model, parameters, images, pooling, mode } = input;
  if (isVit(model)) {
    const tokens = encode({ ...input, model });
    return { features: pooled(tokens, pooling, model.registers), statistics: {} };
  }
  const channels = parameterOf(parameters, "conv1.weight").shape[1];
  return resnet({
    architecture: model.architecture,
    parameters,
    statistics: input.statistics ?? {},
    images: channels === 1 ? greenChannel(images) : images,
    mode,
  });
}
