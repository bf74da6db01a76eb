import { gelu } from "../model/gelu.js";
import { linear, parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { unitRows } from "./nt-xent.js";

/** Tensors of prototypes, which the first steps of a run leave as they are. */
export const lastLayer = /\.last_layer\.weight_[gv]$/;

/** Features [rows, width] → points on the sphere [rows, bottleneck], which are compared with prototypes. */
export function bottleneck(features: Tensor, parameters: NamedTensors, name: string): Tensor2D {
  const first = gelu(linear(features, { parameters, name: `${name}.mlp.0` }));
  const second = gelu(linear(first, { parameters, name: `${name}.mlp.2` }));
  return unitRows(linear(second, { parameters, name: `${name}.mlp.4` }) as Tensor2D);
}

/**
 * Similarity with every prototype: [rows, bottleneck] → [rows, K]. Prototypes have length one, or the trained length
 * `weight_g` (Salimans and Kingma 2016).
 */
export function similarities(points: Tensor2D, parameters: NamedTensors, name: string): Tensor2D {
  const directions = parameterOf(parameters, `${name}.last_layer.weight_v`) as Tensor2D;
  const unit = unitRows(directions);
  const lengths = parameters[`${name}.last_layer.weight_g`];
  const prototypes = lengths === undefined ? unit : tf.mul(unit, lengths);
  return tf.matMul(points, prototypes as Tensor2D, false, true);
}

/** DINO's head (Caron et al. 2021): features [rows, width] → logits [rows, K]. */
export function prototypeLogits(features: Tensor, parameters: NamedTensors, name: string): Tensor2D {
  return similarities(bottleneck(features, parameters, name), parameters, name);
}
