import type { NamedTensors } from "./tensors.js";
import type { Tensor } from "./tf.js";

/** A part of a model that reads nothing but x and its own parameters: x → the same shape. */
export type Block = (x: Tensor, parameters: NamedTensors) => Tensor;

let wrapping: ((block: Block) => Block) | undefined;

/** While `run` runs, every block that a model calls is wrapped. `run` must not await. */
export function withWrappedBlocks<T>(wrap: (block: Block) => Block, run: () => T): T {
  const before = wrapping;
  wrapping = wrap;
  try {
    return run();
  } finally {
    wrapping = before;
  }
}

/** @param name the block's parameters are those called `<name>.…`; it is given no others */
export function runBlock(block: Block, x: Tensor, { name, parameters }: { name: string; parameters: NamedTensors }) {
  const own = Object.entries(parameters).filter(([key]) => key.startsWith(`${name}.`));
  return (wrapping?.(block) ?? block)(x, Object.fromEntries(own));
}
