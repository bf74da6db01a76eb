import {
  AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  NodeProto,
  type TensorProto,
} from "@consilium/shared/onnx/gen/onnx.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import type { Attribute, ConstantData, Graph, NamedValue, Operation, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { initializer } from "./tensor-proto.js";

export interface LoweredGraph {
  readonly node: NodeProto[];
  readonly initializer: TensorProto[];
}

/** A constant of one number is written in full up to this many elements, and as an Expand node above. */
const largestRepeated = 256;

export function lowerGraph(graph: Graph): LoweredGraph {
  const names = valueNames(graph);
  const nameOf = (value: Value): string => names.get(value) ?? `v${value.operation.id}.${value.index}`;
  const lowered: LoweredGraph = { node: [], initializer: [] };
  for (const operation of operationsInOrder(graph)) {
    if (operation.op === "Input") continue;
    if (operation.constant === undefined) lowered.node.push(operationProto(operation, nameOf));
    else
      lowerConstant(operation.constant, { value: operation.outputs[0]!, name: nameOf(operation.outputs[0]!) }, lowered);
  }
  // What has another name already: an input handed through, or a value that is two outputs.
  for (const { name, value } of modelOutputs(graph)) {
    if (nameOf(value) === name) continue;
    lowered.node.push(NodeProto.fromPartial({ opType: "Identity", input: [nameOf(value)], output: [name] }));
  }
  return lowered;
}

/** ONNX knows a name once: an output called like an input, as a parameter before and after a step, gets a suffix. */
export function modelOutputs(graph: Graph): NamedValue[] {
  const taken = new Set(graph.inputs.map(({ name }) => name));
  return graph.outputs.map(({ name, value }) => ({ name: taken.has(name) ? `${name}.next` : name, value }));
}

/** Inputs keep their names; an output's value gets its first name unless it is an input or a constant. */
function valueNames(graph: Graph): ReadonlyMap<Value, string> {
  const names = new Map<Value, string>();
  for (const { name, value } of graph.inputs) names.set(value, name);
  for (const { name, value } of modelOutputs(graph)) {
    if (!names.has(value) && value.operation.constant === undefined) names.set(value, name);
  }
  return names;
}

function operationProto(operation: Operation, nameOf: (value: Value) => string): NodeProto {
  return {
    name: `${operation.op}.${operation.id}`,
    opType: operation.op,
    domain: operation.domain,
    input: operation.inputs.map(nameOf),
    output: operation.outputs.map(nameOf),
    attribute: Object.entries(operation.attributes).map(([name, attribute]) => attributeProto(name, attribute)),
  };
}

function attributeProto(name: string, attribute: Attribute): AttributeProto {
  if ("int" in attribute) return AttributeProto.fromPartial({ name, type: AttributeType.INT, i: attribute.int });
  if ("float" in attribute) return AttributeProto.fromPartial({ name, type: AttributeType.FLOAT, f: attribute.float });
  if ("ints" in attribute) {
    return AttributeProto.fromPartial({ name, type: AttributeType.INTS, ints: [...attribute.ints] });
  }
  return AttributeProto.fromPartial({ name, type: AttributeType.STRING, s: Buffer.from(attribute.text) });
}

interface NamedConstant {
  readonly value: Value;
  readonly name: string;
}

function lowerConstant(data: ConstantData, { value, name }: NamedConstant, lowered: LoweredGraph): void {
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
