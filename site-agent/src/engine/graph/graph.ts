/**
 * A program as a graph of ONNX operators (opset 18, plus "Input", "Constant", "Repeat" and the passes' own "Product").
 * Everything is immutable: passes make new graphs.
 */
export type ElementType = "float32" | "float16" | "int32" | "int64" | "bool" | "uint8";

/** float16 constants are kept as float32 numbers and rounded when they are written. */
export type ConstantData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };
export type Attributes = Readonly<Record<string, Attribute>>;

export type Shape = readonly number[];

/** One output of an operation. */
export interface Value {
  readonly operation: Operation;
  readonly index: number;
  readonly shape: Shape;
  readonly type: ElementType;
}

export interface Operation {
  /** Ascending in an order in which the graph can run. */
  readonly id: number;
  readonly op: string;
  /** "" for the operators of the ONNX standard. */
  readonly domain: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
  /** Of a "Constant": row-major values, or a single one that fills the whole shape. */
  readonly constant?: ConstantData;
  /** Of a "Repeat": see `trace/repeat.ts`. */
  readonly body?: Graph;
}

export interface NamedValue {
  readonly name: string;
  readonly value: Value;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly NamedValue[];
  readonly outputs: readonly NamedValue[];
}

export function intAttribute(operation: Operation, name: string): number {
  const attribute = operation.attributes[name];
  return attribute !== undefined && "int" in attribute ? attribute.int : 0;
}

export function floatAttribute(operation: Operation, name: string, absent: number): number {
  const attribute = operation.attributes[name];
  return attribute !== undefined && "float" in attribute ? attribute.float : absent;
}

export function intsAttribute(operation: Operation, name: string): readonly number[] {
  const attribute = operation.attributes[name];
  return attribute !== undefined && "ints" in attribute ? attribute.ints : [];
}

/** The number that fills the whole of a constant; undefined for everything else, and for shape operands (int64). */
export function uniformOf(value: Value): number | undefined {
  const data = value.operation.constant;
  return data !== undefined && data.length === 1 && !(data instanceof BigInt64Array) ? data[0] : undefined;
}

/** The numbers of a shape operand that is a constant. */
export function intsConstant({ operation }: Value): readonly number[] | undefined {
  return operation.constant instanceof BigInt64Array ? Array.from(operation.constant, Number) : undefined;
}
