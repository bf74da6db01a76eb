import type { Attributes, ConstantData, ElementType, Graph, Operation, Shape, Value } from "./graph.js";

export interface ValueType {
  readonly shape: Shape;
  readonly type: ElementType;
}

export interface OperationRequest {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly ValueType[];
  readonly attributes?: Attributes;
  readonly domain?: string;
  readonly constant?: ConstantData;
  readonly body?: Graph;
}

/** Appends operations; each sees only values that exist already, so creation order is a valid running order. */
export class GraphBuilder {
  #nextId = 0;

  /** Operations made from here on have this id or a later one. */
  get nextId(): number {
    return this.#nextId;
  }

  operation(request: OperationRequest): Operation {
    const outputs: Value[] = [];
    const operation: Operation = {
      id: this.#nextId++,
      op: request.op,
      domain: request.domain ?? "",
      inputs: request.inputs,
      attributes: request.attributes ?? {},
      outputs,
      ...(request.constant === undefined ? {} : { constant: request.constant }),
      ...(request.body === undefined ? {} : { body: request.body }),
    };
    request.outputs.forEach(({ shape, type }, index) => {
      outputs.push({ operation, index, shape: [...shape], type });
    });
    return operation;
  }

  /** An operation with one output. */
  apply(request: Omit<OperationRequest, "outputs"> & ValueType): Value {
    const { shape, type, ...rest } = request;
    return this.operation({ ...rest, outputs: [{ shape, type }] }).outputs[0]!;
  }

  input(shape: Shape, type: ElementType): Value {
    return this.apply({ op: "Input", inputs: [], shape, type });
  }

  constant(data: ConstantData, shape: Shape, type: ElementType): Value {
    return this.apply({ op: "Constant", inputs: [], constant: data, shape, type });
  }

  /** A constant of one number everywhere. */
  uniform(number: number, shape: Shape, type: ElementType): Value {
    return this.constant(typedArray(type, [number]), shape, type);
  }

  /** A list of int64, as operators take shapes, axes and bounds. */
  ints(numbers: readonly number[]): Value {
    return this.constant(BigInt64Array.from(numbers, BigInt), [numbers.length], "int64");
  }

  copy(operation: Operation, inputs: readonly Value[]): readonly Value[] {
    return this.operation({ ...operation, inputs }).outputs;
  }
}

export function typedArray(type: ElementType, numbers: ArrayLike<number>): ConstantData {
  switch (type) {
    case "float32":
    case "float16":
      return Float32Array.from(numbers);
    case "int32":
      return Int32Array.from(numbers);
    case "bool":
    case "uint8":
      return Uint8Array.from(numbers);
    case "int64":
      return BigInt64Array.from(Array.from(numbers), BigInt);
  }
}
