import type { Tensor } from "@tensorflow/tfjs";

/** Tensors by name, as programs, models and methods pass them. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

export type HostDtype = "float32" | "int32";

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: HostDtype;
}
export type TensorSpecs = Readonly<Record<string, TensorSpec>>;

/** Values in memory, outside any engine. Row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}
export type HostTensors = Readonly<Record<string, HostTensor>>;
