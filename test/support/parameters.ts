import { initialVector } from "@consilium/shared/params/initialize.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { NamedTensors } from "@consilium/site-agent/model/tensors.js";
import { tf } from "@consilium/site-agent/model/tf.js";

/** First values of a layout as tensors. */
export function initialTensors(layout: ParameterLayout, seed: number): Record<string, NamedTensors[string]> {
  const vector = initialVector(layout, seed);
  return Object.fromEntries(
    layout.parameters.map(({ name, shape, offset, size }) => [
      name,
      tf.tensor(vector.slice(offset, offset + size), [...shape]),
    ]),
  );
}
