import { unreachable } from "../errors.js";
import { type Random, randomFor } from "../random.js";
import type { Initializer, ParameterLayout, PlacedParameter } from "./layout.js";

/** Redraws what lies beyond two standard deviations. */
function truncatedNormal(random: Random): number {
  for (;;) {
    const value = random.normal();
    if (Math.abs(value) <= 2) return value;
  }
}

function xavierLimit({ shape, size }: PlacedParameter): number {
  const outputs = shape[0] ?? 1;
  return Math.sqrt(6 / (outputs + size / outputs));
}

function drawOf(initializer: Initializer, parameter: PlacedParameter, random: Random): () => number {
  switch (initializer.kind) {
    case "zeros":
      return () => 0;
    case "ones":
      return () => 1;
    case "constant":
      return () => initializer.value;
    case "normal":
      return () => initializer.std * random.normal();
    case "truncated-normal":
      return () => initializer.std * truncatedNormal(random);
    case "uniform":
      return () => initializer.limit * (2 * random.uniform() - 1);
    case "xavier-uniform": {
      const limit = xavierLimit(parameter);
      return () => limit * (2 * random.uniform() - 1);
    }
    default:
      return unreachable(initializer);
  }
}

/** Values of a block: some ten milliseconds of drawing. */
const blockValues = 2 ** 18;

/**
 * First values of every tensor, in layout order, a block at a time, so that a large model neither fills the memory nor
 * holds up what else the process does. Each tensor has its own stream, so that a tensor starts alike whatever stands
 * around it.
 */
export function* initialBlocks(layout: Pick<ParameterLayout, "parameters">, seed: number): Generator<Float32Array> {
  for (const parameter of layout.parameters) {
    const draw = drawOf(
      parameter.initializer,
      parameter,
      randomFor("init", seed, parameter.beginsAs ?? parameter.name),
    );
    for (let done = 0; done < parameter.size; done += blockValues) {
      yield Float32Array.from({ length: Math.min(blockValues, parameter.size - done) }, draw);
    }
  }
}

/** All of them as one vector. */
export function initialVector(layout: ParameterLayout, seed: number): Float32Array {
  const vector = new Float32Array(layout.dimension);
  let offset = 0;
  for (const block of initialBlocks(layout, seed)) {
    vector.set(block, offset);
    offset += block.length;
  }
  return vector;
}
