import {
  AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  GraphProto,
  NodeProto,
  ValueInfoProto,
} from "@consilium/shared/onnx/gen/onnx.js";
import {
  type Attribute,
  type Graph,
  intAttribute,
  type NamedValue,
  type Operation,
  type Value,
} from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { type LoweredGraph, lowerConstant } from "./lower-constant.js";
import { elementTypeCode, initializer } from "./tensor-proto.js";

export function lowerGraph(graph: Graph): LoweredGraph {
  return lowerScope(graph, valueNames(graph), { scope: ownPrefix(graph), outputPrefix: "" });
}

/** Before names that are made here, so that no input or output has one of them. */
function ownPrefix(graph: Graph): string {
  const names = [...graph.inputs, ...modelOutputs(graph)].map(({ name }) => name);
  let prefix = "";
  while (names.some((name) => name.startsWith(prefix) && /^[vr]\d+\./.test(name.slice(prefix.length)))) prefix += "_";
  return prefix;
}

interface Prefixes {
  /** Of every name that is made here, because ONNX knows a name once in all graphs of a model. */
  readonly scope: string;
  readonly outputPrefix: string;
}

function lowerScope(graph: Graph, names: ReadonlyMap<Value, string>, { scope, outputPrefix }: Prefixes): LoweredGraph {
  const nameOf = (value: Value): string => names.get(value) ?? `${scope}v${value.operation.id}.${value.index}`;
  const lowered: LoweredGraph = { node: [], initializer: [] };
  for (const operation of operationsInOrder(graph)) {
    if (operation.op === "Input") continue;
    if (operation.constant !== undefined) {
      const [value] = operation.outputs;
      lowerConstant(operation.constant, { value: value!, name: nameOf(value!) }, lowered);
    } else if (operation.body !== undefined) {
      lowered.node.push(repeatProto(operation, operation.body, { nameOf, scope }, lowered));
    } else lowered.node.push(operationProto(operation, nameOf));
  }
  // What has another name already: an input handed through, or a value that is two outputs.
  for (const { name, value } of modelOutputs(graph)) {
    const wanted = `${outputPrefix}${name}`;
    if (nameOf(value) === wanted) continue;
    lowered.node.push(NodeProto.fromPartial({ opType: "Identity", input: [nameOf(value)], output: [wanted] }));
  }
  return lowered;
}

interface Scope {
  readonly nameOf: (value: Value) => string;
  readonly scope: string;
}

/** "Repeat" as ONNX's Loop with a fixed number of rounds. What the body captures it reads by its outer name. */
function repeatProto(operation: Operation, body: Graph, { nameOf, scope }: Scope, lowered: LoweredGraph): NodeProto {
  const inside = `${scope}r${operation.id}.`;
  const carried = operation.outputs.length;
  const own = body.inputs.slice(0, 1 + carried);
  const names = new Map(own.map(({ name, value }, at) => [value, at === 0 ? `${inside}index` : `${inside}in.${name}`]));
  for (const [at, { value }] of body.inputs.slice(1 + carried).entries()) {
    names.set(value, nameOf(operation.inputs[carried + at]!));
  }
  const outputPrefix = `${inside}out.`;
  nameOutputs(body, names, outputPrefix);
  const trips = `${inside}count`;
  lowered.initializer.push(
    initializer({
      name: trips,
      shape: [],
      type: "int64",
      data: BigInt64Array.of(BigInt(intAttribute(operation, "count"))),
    }),
  );
  const going = ValueInfoProto.fromPartial({
    name: `${inside}going`,
    type: { tensorType: { elemType: elementTypeCode.bool, shape: { dim: [] } } },
  });
  const still = { ...going, name: `${inside}still` };
  const lower = lowerScope(body, names, { scope: inside, outputPrefix });
  lower.node.push(NodeProto.fromPartial({ opType: "Identity", input: [going.name], output: [still.name] }));
  const [index, ...rest] = own.map(({ value }) => valueInfo({ name: names.get(value)!, value }));
  const outputs = modelOutputs(body).map(({ name, value }) => valueInfo({ name: `${outputPrefix}${name}`, value }));
  const graph = GraphProto.fromPartial({
    ...lower,
    name: `${inside}body`,
    input: [index!, going, ...rest],
    output: [still, ...outputs],
  });
  return NodeProto.fromPartial({
    name: `Loop.${operation.id}`,
    opType: "Loop",
    input: [trips, "", ...operation.inputs.slice(0, carried).map(nameOf)],
    output: operation.outputs.map(nameOf),
    attribute: [{ name: "body", type: AttributeType.GRAPH, g: graph }],
  });
}

export function valueInfo({ name, value }: NamedValue): ValueInfoProto {
  const dim = value.shape.map((extent) => ({ dimValue: extent, dimParam: "" }));
  return ValueInfoProto.fromPartial({
    name,
    type: { tensorType: { elemType: elementTypeCode[value.type], shape: { dim } } },
  });
}

/** ONNX knows a name once: an output called like an input, as a parameter before and after a step, gets a suffix. */
export function modelOutputs(graph: Graph): NamedValue[] {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const taken = new Set([...inputs, ...graph.outputs.map(({ name }) => name)]);
  return graph.outputs.map(({ name, value }) => {
    if (!inputs.has(name)) return { name, value };
    let next = `${name}.next`;
    while (taken.has(next)) next += ".next";
    taken.add(next);
    return { name: next, value };
  });
}

/** Inputs keep their names; an output's value gets its first name unless it is an input or a constant. */
function valueNames(graph: Graph): ReadonlyMap<Value, string> {
  const names = new Map<Value, string>();
  for (const { name, value } of graph.inputs) names.set(value, name);
  nameOutputs(graph, names, "");
  return names;
}

function nameOutputs(graph: Graph, names: Map<Value, string>, prefix: string): void {
  for (const { name, value } of modelOutputs(graph)) {
    if (!names.has(value) && value.operation.constant === undefined) names.set(value, `${prefix}${name}`);
  }
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
