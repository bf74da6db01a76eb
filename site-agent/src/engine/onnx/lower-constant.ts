import { NodeProto, type TensorProto } from "@consilium/shared/onnx/gen/onnx.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import type { ConstantData, Value } from "../graph/graph.js";
import { initializer } from "./tensor-proto.js";

export interface LoweredGraph {
  readonly node: NodeProto[];
  readonly initializer: TensorProto[];
}

/** A constant of one number is written in full up to this many elements, and as an Expand node above. */
const largestRepeated = 256;

interface NamedConstant {
  readonly value: Value;
  readonly name: string;
}

/** Adds an initialiser, and what repeats its one number where it has one. */
export function lowerConstant(data: ConstantData, { value, name }: NamedConstant, lowered: LoweredGraph): void {
  const { shape, type } = value;
  const size = sizeOf(shape);
  if (data.length === size || size <= largestRepeated) {
    const full = data.length === size ? data : repeated(data, size);
    lowered.initializer.push(initializer({ name, shape, type, data: full }));
    return;
  }
  const [scalar, extents] = [`${name}.value`, `${name}.shape`];
  lowered.initializer.push(
    initializer({ name: scalar, shape: [], type, data }),
    initializer({ name: extents, shape: [shape.length], type: "int64", data: BigInt64Array.from(shape, BigInt) }),
  );
  lowered.node.push(NodeProto.fromPartial({ opType: "Expand", input: [scalar, extents], output: [name] }));
}

function repeated(data: ConstantData, size: number): ConstantData {
  if (data instanceof BigInt64Array) return new BigInt64Array(size).fill(data[0]!);
  if (data instanceof Float32Array) return new Float32Array(size).fill(data[0]!);
  if (data instanceof Int32Array) return new Int32Array(size).fill(data[0]!);
  return new Uint8Array(size).fill(data[0]!);
}
