import { unetChannels } from "@consilium/shared/params/heads.js";
import { batchNorm } from "./batch-norm.js";
import { convolve } from "./conv.js";
import { parameterOf } from "./layers.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor4D, tf } from "./tf.js";

const epsilon = 1e-5;
const sameSize = { stride: 1, padding: 1 };

/** Every pixel four times: [batch, rows, columns, channels] → [batch, 2 × rows, 2 × columns, channels]. */
export function doubled(x: Tensor): Tensor4D {
  const [batch = 0, rows = 0, columns = 0, channels = 0] = x.shape;
  const spread = tf.reshape(x, [batch, rows, 1, columns, 1, channels]);
  // Adding zeros broadcasts with a sum as gradient.
  const copies = tf.add(tf.zeros([batch, rows, 2, columns, 2, channels]), spread);
  return tf.reshape(copies, [batch, 2 * rows, 2 * columns, channels]);
}

/** 3×3 convolution, norm by the batch, rectifier. */
function unit(x: Tensor, parameters: NamedTensors, name: string): Tensor {
  const convolved = convolve(x, parameterOf(parameters, `${name}.0.weight`), sameSize);
  const weight = parameterOf(parameters, `${name}.1.weight`);
  return tf.relu(batchNorm({ x: convolved, weight, bias: parameterOf(parameters, `${name}.1.bias`), epsilon }));
}

/**
 * The decoder of a U-Net (Ronneberger et al. 2015) on a residual network: from the last stage upwards, each block doubles
 * the image, takes in the encoder's stage of that size, and convolves twice. Stages from the stem to the last, as
 * `resnet` gives them → [batch, size, size, 2].
 */
export function unetDecoder(stages: readonly Tensor4D[], parameters: NamedTensors): Tensor4D {
  const skips = stages.slice(0, -1).toReversed();
  const decoded = unetChannels.reduce((x: Tensor, _, index) => {
    const name = `decoder.blocks.${index}`;
    const larger = doubled(x);
    const skip = skips[index];
    const joined = skip === undefined ? larger : tf.concat([larger, skip], 3);
    return unit(unit(joined, parameters, `${name}.conv1`), parameters, `${name}.conv2`);
  }, stages.at(-1)!);
  const colours = convolve(decoded, parameterOf(parameters, "decoder.head.weight"), sameSize);
  return tf.add(colours, parameterOf(parameters, "decoder.head.bias"));
}
