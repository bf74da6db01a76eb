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
    case "xavier-uniform": {
      const limit = xavierLimit(parameter);
      return () => limit * (2 * random.uniform() - 1);
    }
    default:
      return unreachable(initializer);
  }
}

/**
 * First values of every tensor, in layout order. Each tensor has its own stream, so that a tensor starts alike
 * whatever stands around it.
 */
export function initialVector(layout: ParameterLayout, seed: number): Float32Array {
  const vector = new Float32Array(layout.dimension);
  for (const parameter of layout.parameters) {
    const draw = drawOf(parameter.initializer, parameter, randomFor("init", seed, parameter.name));
    const end = parameter.offset + parameter.size;
    for (let index = parameter.offset; index < end; index++) vector[index] = draw();
  }
  return vector;
}
