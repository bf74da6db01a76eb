import { sizeOf } from "@consilium/shared/params/layout.js";
import { type Tensor, tf } from "../model/tf.js";

/** Below this many elements, running an operation costs more than what it computes. */
const smallSize = 16_384;

/** On WebGPU, an operation has as many inputs and outputs as a shader has buffers, of which 8 are sure. */
const splitWidth = 7;

export interface StackedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Tensors that are worked on as one: a large one alone, small ones of one size together as rows. */
export interface Stack<T extends StackedTensor = StackedTensor> {
  readonly members: readonly T[];
  /** Shared by all members. */
  readonly key: string;
}

/** @param keyOf members of one stack have the same key */
export function stacksOf<T extends StackedTensor>(tensors: readonly T[], keyOf: (tensor: T) => string): Stack<T>[] {
  const stacks = new Map<string, Stack<T>>();
  for (const tensor of tensors) {
    const key = keyOf(tensor);
    const size = sizeOf(tensor.shape);
    const place = size < smallSize ? `${size} ${key}` : tensor.name;
    stacks.set(place, { key, members: [...(stacks.get(place)?.members ?? []), tensor] });
  }
  return [...stacks.values()];
}

/** One tensor as it is; several as [members, size]. */
export function joined({ members }: Stack, tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (members.length === 1 && first !== undefined) return first;
  const rows = tensors.map((tensor) => tf.reshape(tensor, [-1]));
  return tf.reshape(tf.concat(rows), [members.length, -1]);
}

/** The inverse: a tensor for each member, in its shape. */
export function taken({ members }: Stack, stack: Tensor): Tensor[] {
  if (members.length === 1) return [stack];
  const parts = equalParts(tf.reshape(stack, [-1]), members.length);
  return members.map(({ shape }, index) => tf.reshape(parts[index]!, [...shape]));
}

/** [count × size] → count of [size]; in turns, because one operation has few outputs. */
function equalParts(x: Tensor, count: number): Tensor[] {
  if (count === 1) return [x];
  const size = x.size / count;
  let width = 1;
  while (width * splitWidth < count) width *= splitWidth;
  const counts = Array.from({ length: Math.ceil(count / width) }, (_, turn) => Math.min(width, count - turn * width));
  const turns = tf.split(
    x,
    counts.map((members) => members * size),
  );
  return turns.flatMap((part, turn) => equalParts(part, counts[turn]!));
}

/** Sum over each member: [] of one tensor, [members, 1] of several. */
export function sumOfEach({ members }: Stack, stack: Tensor): Tensor {
  return members.length === 1 ? tf.sum(stack) : tf.sum(stack, 1, true);
}
