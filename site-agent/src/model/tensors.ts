import type { Tensor } from "@tensorflow/tfjs";

/** Tensors by name, as programs, models and methods pass them. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** "uint8" is for inputs only, such as pixels: a program sees the same numbers as float32. */
export type HostDtype = "float32" | "int32" | "uint8";

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: HostDtype;
}
export type TensorSpecs = Readonly<Record<string, TensorSpec>>;

export type HostData = Float32Array | Int32Array | Uint8Array;

/** Values in memory, outside any engine. Row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: HostData;
}
export type HostTensors = Readonly<Record<string, HostTensor>>;
