import { ConsiliumError } from "@consilium/shared/errors.js";
import { layerNormEpsilon } from "@consilium/shared/params/architecture.js";
import { attend } from "./attention.js";
import { runBlock } from "./block-runner.js";
import { gelu } from "./gelu.js";
import { layerNorm } from "./layer-norm.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor2D, type Tensor3D, tf } from "./tf.js";

/** A linear map or a norm whose weight and bias stand in `parameters` under `<name>.weight` and `<name>.bias`. */
export interface Layer {
  readonly parameters: NamedTensors;
  readonly name: string;
}

/** @throws ConsiliumError "internal" when the layout lacks the tensor */
export function parameterOf(parameters: NamedTensors, name: string): Tensor {
  const tensor = parameters[name];
  if (tensor === undefined) throw new ConsiliumError("internal", `parameter ${name} is missing`);
  return tensor;
}

/** x [..., inputs], weight [outputs, inputs], bias [outputs] → [..., outputs]. One product of rank 2. */
export function linear(x: Tensor, { parameters, name }: Layer): Tensor {
  const weight = parameterOf(parameters, `${name}.weight`);
  const [outputs = 0, inputs = 0] = weight.shape;
  const rows = tf.reshape(x, [-1, inputs]);
  const product = tf.add(tf.matMul(rows, weight, false, true), parameterOf(parameters, `${name}.bias`));
  return tf.reshape(product, [...x.shape.slice(0, -1), outputs]);
}

/** x [..., width] → [..., width], mean 0 and variance 1 over the last axis before weight and bias. */
export function norm(x: Tensor, { parameters, name }: Layer): Tensor {
  const weight = parameterOf(parameters, `${name}.weight`);
  return layerNorm({ x, weight, bias: parameterOf(parameters, `${name}.bias`), epsilon: layerNormEpsilon });
}

export interface BlockShape {
  readonly heads: number;
}

/** x [batch, tokens, width] → the same. Queries, keys and values come from one product, in this order. */
export function attention(x: Tensor, layer: Layer, { heads }: BlockShape): Tensor {
  const qkv = linear(x, { ...layer, name: `${layer.name}.qkv` });
  return linear(attend(qkv, heads), { ...layer, name: `${layer.name}.proj` });
}

/** x [..., width] → [..., 4 × width] → [..., width]. */
export function mlp(x: Tensor, layer: Layer): Tensor {
  const hidden = gelu(linear(x, { ...layer, name: `${layer.name}.fc1` }));
  return linear(hidden, { ...layer, name: `${layer.name}.fc2` });
}

/** LayerScale (Touvron et al. 2021): x × `<name>.gamma` [width] where the layout has one. */
function layerScale(x: Tensor, { parameters, name }: Layer): Tensor {
  const gamma = parameters[`${name}.gamma`];
  return gamma === undefined ? x : tf.mul(x, gamma);
}

/** Stochastic depth: x [batch, tokens, width] × column `branch` of `<name>.branch_scales` [batch, 2], where given. */
function branchScale(x: Tensor, { parameters, name }: Layer, branch: 0 | 1): Tensor {
  const scales = parameters[`${name}.branch_scales`];
  if (scales === undefined) return x;
  const batch = scales.shape[0] ?? 0;
  return tf.mul(x, tf.reshape(tf.slice(scales as Tensor2D, [0, branch], [batch, 1]), [batch, 1, 1]));
}

/**
 * Pre-norm transformer block, with LayerScale where the layout has `ls1` and `ls2`, and stochastic depth where
 * `<name>.branch_scales` is given: x [batch, tokens, width] → the same.
 */
export function block(x: Tensor, layer: Layer, shape: BlockShape): Tensor3D {
  const within = (name: string): Layer => ({ ...layer, name: `${layer.name}.${name}` });
  const fromAttention = layerScale(attention(norm(x, within("norm1")), within("attn"), shape), within("ls1"));
  const attended: Tensor = tf.add(x, branchScale(fromAttention, layer, 0));
  const fromMlp = layerScale(mlp(norm(attended, within("norm2")), within("mlp")), within("ls2"));
  return tf.add(attended, branchScale(fromMlp, layer, 1));
}

/** Blocks `<name>.0` … `<name>.<depth - 1>` one after the other: x [batch, tokens, width] → the same. */
export function blocks(x: Tensor, layer: Layer, shape: BlockShape & { readonly depth: number }): Tensor {
  let current = x;
  for (let index = 0; index < shape.depth; index++) {
    const name = `${layer.name}.${index}`;
    const run = (input: Tensor, parameters: NamedTensors) => block(input, { ...layer, parameters, name }, shape);
    current = runBlock(run, current, { parameters: layer.parameters, name });
  }
  return current;
}
