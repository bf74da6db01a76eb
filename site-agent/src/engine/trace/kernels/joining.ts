import type { GraphBuilder } from "../../graph/builder.js";
import { reshape } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { positiveAxis } from "../../graph/shapes.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

export function concatAlong(builder: GraphBuilder, parts: readonly Value[], axis: number): Value {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const shape = [...first!.shape];
  shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  return builder.apply({ op: "Concat", inputs: parts, attributes: { axis: { int: axis } }, shape, type: first!.type });
}

const concat: TraceKernel = (call) =>
  concatAlong(call.builder, call.inputs, positiveAxis(call.number("axis"), call.inputs[0]!.shape.length));

const pack: TraceKernel = (call) => {
  const { builder, inputs } = call;
  const axis = positiveAxis(call.number("axis"), inputs[0]!.shape.length + 1);
  const parts = inputs.map((part) =>
    reshape(builder, part, [...part.shape.slice(0, axis), 1, ...part.shape.slice(axis)]),
  );
  return concatAlong(builder, parts, axis);
};

interface SplitOptions {
  readonly axis: number;
  readonly sizes: readonly number[];
}

function split(builder: GraphBuilder, x: Value, { axis, sizes }: SplitOptions): readonly Value[] {
  if (sizes.length === 1) return [x];
  const outputs = sizes.map((size) => ({
    shape: x.shape.map((extent, index) => (index === axis ? size : extent)),
    type: x.type,
  }));
  const attributes = { axis: { int: axis } };
  return builder.operation({ op: "Split", inputs: [x, builder.ints(sizes)], outputs, attributes }).outputs;
}

/** "In k equal parts" is the number k; otherwise a list of sizes with at most one -1 for the rest. */
const splitV: TraceKernel = (call) => {
  const x = call.input("x");
  const axis = positiveAxis(call.number("axis"), x.shape.length);
  const extent = x.shape[axis]!;
  const asked = call.numbers("numOrSizeSplits");
  if (call.isNumber("numOrSizeSplits")) {
    const count = asked[0]!;
    return split(call.builder, x, { axis, sizes: Array.from({ length: count }, () => extent / count) });
  }
  const known = asked.reduce((sum, size) => sum + Math.max(size, 0), 0);
  return split(call.builder, x, { axis, sizes: asked.map((size) => (size < 0 ? extent - known : size)) });
};

const unpack: TraceKernel = (call) => {
  const x = call.input("value");
  const axis = positiveAxis(call.number("axis"), x.shape.length);
  const sizes = Array.from({ length: x.shape[axis]! }, () => 1);
  const shape = x.shape.filter((_, index) => index !== axis);
  return split(call.builder, x, { axis, sizes }).map((part) => reshape(call.builder, part, shape));
};

export const joiningKernels: TraceKernels = { Concat: concat, Pack: pack, SplitV: splitV, Unpack: unpack };
