import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate, reduce, reshape, scalarLike } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

/** [..., n] integers → [..., n, size], true where an integer is the place along the last axis. */
export function placesEqual(builder: GraphBuilder, x: Value, size: number): Value {
  const places = builder.constant(
    Int32Array.from({ length: size }, (_, place) => place),
    [size],
    "int32",
  );
  return predicate(builder, "Equal", [reshape(builder, cast(builder, x, "int32"), [...x.shape, 1]), places]);
}

/** How often each of 0 … size - 1 occurs along the last axis, or the sum of its weights; rows of a matrix apart. */
const bincount: TraceKernel = (call) => {
  const { builder } = call;
  const [x, weights] = [call.input("x"), call.input("weights")];
  const hot = placesEqual(builder, x, call.number("size"));
  const axes = [x.shape.length - 1];
  const once = call.flag("binaryOutput") && x.shape.length > 1;
  if (once || weights.shape.includes(0)) {
    const op = once ? "ReduceMax" : "ReduceSum";
    return cast(builder, reduce(builder, cast(builder, hot, "int32"), { op, axes, keepAxes: false }), weights.type);
  }
  const spread = reshape(builder, weights, [...x.shape, 1]);
  const counted = elementwise(builder, "Where", [hot, spread, scalarLike(builder, 0, weights)]);
  return reduce(builder, counted, { op: "ReduceSum", axes, keepAxes: false });
};

/** Where values [batch, m] belong in ascending sequences [batch, n]: how many elements stand before each. */
const searchSorted: TraceKernel = (call) => {
  const { builder } = call;
  const [sequence, values] = [call.input("sortedSequence"), call.input("values")];
  const [batch, count] = sequence.shape as [number, number];
  const operands = [
    reshape(builder, sequence, [batch, 1, count]),
    reshape(builder, values, [batch, values.shape[1]!, 1]),
  ];
  const before = predicate(builder, call.text("side") === "left" ? "Less" : "LessOrEqual", operands);
  return reduce(builder, cast(builder, before, "int32"), { op: "ReduceSum", axes: [2], keepAxes: false });
};

/** The shape to which two shapes broadcast, where both are values of the graph. */
const broadcastArgs: TraceKernel = (call) => {
  const { builder } = call;
  const shapes = [call.input("s0"), call.input("s1")];
  const rank = Math.max(...shapes.map(({ shape }) => shape[0]!));
  const aligned = shapes.map((value) => {
    const missing = rank - value.shape[0]!;
    if (missing === 0) return value;
    const inputs = [builder.uniform(1, [missing], "int32"), value];
    return builder.apply({ op: "Concat", inputs, attributes: { axis: { int: 0 } }, shape: [rank], type: "int32" });
  });
  return elementwise(builder, "Max", aligned);
};

export const countingKernels: TraceKernels = {
  Bincount: bincount,
  BroadcastArgs: broadcastArgs,
  DenseBincount: bincount,
  SearchSorted: searchSorted,
};
