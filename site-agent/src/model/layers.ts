import { ConsiliumError } from "@consilium/shared/errors.js";
import { layerNormEpsilon } from "@consilium/shared/params/architecture.js";
import { gelu } from "./gelu.js";
import { layerNorm } from "./layer-norm.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor3D, tf } from "./tf.js";

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
  const [batch = 0, tokens = 0, width = 0] = x.shape;
  const perHead = width / heads;
  const qkv = linear(x, { ...layer, name: `${layer.name}.qkv` });
  // [3, batch, heads, tokens, width / heads]
  const parts = tf.transpose(tf.reshape(qkv, [batch, tokens, 3, heads, perHead]), [2, 0, 3, 1, 4]);
  const [query, key, value] = tf
    .split(parts, 3, 0)
    .map((part) => tf.reshape(part, [batch, heads, tokens, perHead])) as [Tensor, Tensor, Tensor];
  const scores = tf.matMul(tf.mul(query, 1 / Math.sqrt(perHead)), key, false, true);
  const mixed = tf.matMul(tf.softmax(scores), value);
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, tokens, width]);
  return linear(joined, { ...layer, name: `${layer.name}.proj` });
}

/** x [..., width] → [..., 4 × width] → [..., width]. */
export function mlp(x: Tensor, layer: Layer): Tensor {
  const hidden = gelu(linear(x, { ...layer, name: `${layer.name}.fc1` }));
  return linear(hidden, { ...layer, name: `${layer.name}.fc2` });
}

/** Pre-norm transformer block: x [batch, tokens, width] → the same. */
export function block(x: Tensor, layer: Layer, shape: BlockShape): Tensor3D {
  const within = (name: string): Layer => ({ ...layer, name: `${layer.name}.${name}` });
  const attended: Tensor = tf.add(x, attention(norm(x, within("norm1")), within("attn"), shape));
  return tf.add(attended, mlp(norm(attended, within("norm2")), within("mlp")));
}

/** Blocks `<name>.0` … `<name>.<depth - 1>` one after the other: x [batch, tokens, width] → the same. */
export function blocks(x: Tensor, layer: Layer, shape: BlockShape & { readonly depth: number }): Tensor {
  let current = x;
  for (let index = 0; index < shape.depth; index++) {
    current = block(current, { ...layer, name: `${layer.name}.${index}` }, shape);
  }
  return current;
}
