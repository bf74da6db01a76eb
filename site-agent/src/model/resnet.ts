import {
  type ResnetBlock,
  type ResnetName,
  type ResnetUnit,
  resnetBlocks,
  resnetStem,
} from "@consilium/shared/params/resnet.js";
import { batchNorm, normalizeBy, observe, type RunningStatistics } from "./batch-norm.js";
import { convolve } from "./conv.js";
import { parameterOf } from "./layers.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor2D, type Tensor4D, tf } from "./tf.js";

export interface ResnetInput {
  readonly architecture: ResnetName;
  /** The tensors of `resnetParameters` by name. */
  readonly parameters: NamedTensors;
  /** The tensors of `resnetStatistics` by name; in training they may be left out, and are then not followed. */
  readonly statistics: NamedTensors;
  /** float32 [batch, size, size, 3], normalised. */
  readonly images: Tensor;
  /** Training normalises by the batch's statistics, evaluation by the running ones. */
  readonly mode: "training" | "evaluation";
}

export interface ResnetOutput {
  /** [batch, 512] or [batch, 2048]: the mean of the last stage over the image. */
  readonly features: Tensor2D;
  /** After the stem and after each of the four stages: [batch, size / 2 … size / 32, …, channels]. */
  readonly stages: readonly Tensor4D[];
  /** The running statistics by name, after this batch in training and as they were in evaluation. Without gradients. */
  readonly statistics: NamedTensors;
}

const epsilon = 1e-5;

/** Such as "layer3". */
function stageOf({ units }: ResnetBlock): string {
  return units[0]?.convolution.name.split(".")[0] ?? "";
}

/** Collects running statistics while a batch goes through the network. */
class Pass {
  readonly observed: Record<string, Tensor> = {};

  constructor(private readonly input: ResnetInput) {}

  unit(x: Tensor, { convolution, norm }: ResnetUnit): Tensor {
    const { name, stride, side } = convolution;
    const weight = parameterOf(this.input.parameters, `${name}.weight`);
    return this.#norm(convolve(x, weight, { stride, padding: Math.floor(side / 2) }), norm);
  }

  block(x: Tensor, { units, shortcut }: ResnetBlock): Tensor {
    const inner = units.reduce((current, unit, index) => {
      const normalized = this.unit(current, unit);
      return index === units.length - 1 ? normalized : tf.relu(normalized);
    }, x);
    return tf.relu(tf.add(inner, shortcut === undefined ? x : this.unit(x, shortcut)));
  }

  #norm(x: Tensor, name: string): Tensor {
    const { parameters, mode } = this.input;
    const weight = parameterOf(parameters, `${name}.weight`);
    const input = { x, weight, bias: parameterOf(parameters, `${name}.bias`), epsilon };
    if (mode === "evaluation") return normalizeBy(this.#statistics(name), input);
    const before = `${name}.running_mean` in this.input.statistics ? this.#statistics(name) : undefined;
    if (before !== undefined) {
      const after = observe(x, before);
      this.observed[`${name}.running_mean`] = after.mean;
      this.observed[`${name}.running_var`] = after.variance;
    }
    return batchNorm(input);
  }

  #statistics(name: string): RunningStatistics {
    const { statistics } = this.input;
    return {
      mean: parameterOf(statistics, `${name}.running_mean`),
      variance: parameterOf(statistics, `${name}.running_var`),
    };
  }
}

/**
 * Residual network (He et al. 2016) as torchvision has it, with the stride on the 3×3 convolution of a bottleneck.
 * @throws ConsiliumError "internal" when a tensor is missing
 */
export function resnet(input: ResnetInput): ResnetOutput {
  const pass = new Pass(input);
  const stem = tf.relu(pass.unit(input.images, resnetStem));
  const pooled: Tensor = tf.maxPool(stem as Tensor4D, 3, 2, 1);
  const stages = new Map<string, Tensor>();
  const last = resnetBlocks(input.architecture).reduce((x, block) => {
    const output = pass.block(x, block);
    stages.set(stageOf(block), output);
    return output;
  }, pooled);
  const statistics = input.mode === "training" ? pass.observed : input.statistics;
  return { features: tf.mean(last, [1, 2]), stages: [stem, ...stages.values()] as Tensor4D[], statistics };
}
