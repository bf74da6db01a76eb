import { layerNormEpsilon } from "@consilium/shared/params/architecture.js";
import { batchNorm } from "../model/batch-norm.js";
import { layerNorm } from "../model/layer-norm.js";
import { type Layer, parameterOf } from "../model/layers.js";
import { type Tensor, type Tensor2D, tf } from "../model/tf.js";

/** Norms between the layers of projection heads: over the batch, as in the papers, or over the values of each image. */
export type HeadNorm = "batch" | "layer";

/** As PyTorch's batch norm has it. */
const batchNormEpsilon = 1e-5;

interface Affine {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

function normalizedRows(x: Tensor2D, { weight, bias }: Affine, kind: HeadNorm): Tensor2D {
  if (kind === "layer") return layerNorm({ x, weight, bias, epsilon: layerNormEpsilon }) as Tensor2D;
  const [rows, width] = x.shape;
  const image = tf.reshape(x, [rows, 1, 1, width]);
  return tf.reshape(batchNorm({ x: image, weight, bias, epsilon: batchNormEpsilon }), [rows, width]);
}

/** Rows [rows, width] → the same, with the layer's own weight and bias. By the batch's own statistics, always. */
export function headNorm(x: Tensor2D, { parameters, name }: Layer, kind: HeadNorm): Tensor2D {
  const weight = parameterOf(parameters, `${name}.weight`);
  return normalizedRows(x, { weight, bias: parameterOf(parameters, `${name}.bias`) }, kind);
}

/** The same without weights. */
export function plainHeadNorm(x: Tensor2D, kind: HeadNorm): Tensor2D {
  const width = x.shape[1];
  return normalizedRows(x, { weight: tf.ones([width]), bias: tf.zeros([width]) }, kind);
}
