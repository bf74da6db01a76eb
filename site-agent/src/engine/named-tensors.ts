import type { NamedTensors } from "../model/tensors.js";
import type { Tensor } from "../model/tf.js";

export function mapTensors(tensors: NamedTensors, change: (tensor: Tensor) => Tensor): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor)]));
}
