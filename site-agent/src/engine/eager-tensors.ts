import type { HostTensor, HostTensors, NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { dtypeOf } from "./check-tensors.js";

/** Makes a float32 tensor of these bytes on the active backend. */
export type UploadPixels = (bytes: Uint8Array, shape: readonly number[]) => Tensor;

/** A tensor on the active backend with a copy of the values; bytes become the float32 numbers that programs work with. */
export function upload(tensor: HostTensor, uploadPixels: UploadPixels = widened): Tensor {
  const { shape, data } = tensor;
  if (data instanceof Uint8Array) return uploadPixels(data, shape);
  // A backend may hold on to the array that it is given.
  return tf.tensor(data.slice(), [...shape], dtypeOf(tensor) === "int32" ? "int32" : "float32");
}

function widened(bytes: Uint8Array, shape: readonly number[]): Tensor {
  return tf.tensor(Float32Array.from(bytes), [...shape], "float32");
}

/** Copies of the values, float32 or int32. */
export function readAll(tensors: NamedTensors): HostTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, readOne(tensor)]));
}

/** A backend may hand out the array that it holds. */
function readOne(tensor: Tensor): HostTensor {
  const values = tensor.dataSync();
  const data = tensor.dtype === "float32" ? Float32Array.from(values) : Int32Array.from(values);
  return { shape: tensor.shape, data };
}

/** Programs may hand over tensors that they kept alive through a gradient. */
export function disposeAll(tensors: NamedTensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}
