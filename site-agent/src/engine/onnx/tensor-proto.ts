import type { TensorProto } from "@consilium/shared/onnx/gen/onnx.js";
import type { ConstantData, ElementType, Shape } from "../graph/graph.js";
import { halfBits } from "./half-bits.js";

/** TensorProto.DataType of the ONNX format. */
export const elementTypeCode: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

export interface InitializerSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly type: ElementType;
  readonly data: ConstantData;
}

/** The data is not copied, except to round it to float16; raw_data is little-endian, as are the machines that Node runs on. */
export function initializer({ name, shape, type, data }: InitializerSpec): TensorProto {
  const stored = type === "float16" && data instanceof Float32Array ? halfBits(data) : data;
  const rawData = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  return { name, dims: [...shape], dataType: elementTypeCode[type], rawData };
}
