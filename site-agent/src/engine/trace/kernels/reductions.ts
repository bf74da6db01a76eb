import { cast, reduce } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { positiveAxis, reducedShape } from "../../graph/shapes.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";

/** Without an axis, all of them. */
function axesOf(call: KernelCall, rank: number): number[] {
  // The kernel Max has its own word for it.
  const name = call.has("reductionIndices") ? "reductionIndices" : "axis";
  if (!call.has(name)) return Array.from({ length: rank }, (_, axis) => axis);
  return call.numbers(name).map((axis) => positiveAxis(axis, rank));
}

/** ONNX reduces no booleans: they count as 0 and 1. */
function numericOf(call: KernelCall): Value {
  const x = call.input("x");
  return x.type === "bool" ? cast(call.builder, x, "int32") : x;
}

function reduced(call: KernelCall, x: Value, op: string): Value {
  return reduce(call.builder, x, { op, axes: axesOf(call, x.shape.length), keepAxes: call.flag("keepDims") });
}

function reduction(op: string): TraceKernel {
  return (call) => reduced(call, numericOf(call), op);
}

/** All is the least of 0 and 1, any the largest. */
function extreme(op: string): TraceKernel {
  return (call) => cast(call.builder, reduced(call, numericOf(call), op), call.input("x").type);
}

const mean: TraceKernel = (call) => reduced(call, cast(call.builder, call.input("x"), "float32"), "ReduceMean");

function positionOf(op: string): TraceKernel {
  return (call) => {
    const { builder } = call;
    const x = numericOf(call);
    const axis = positiveAxis(call.numbers("axis")[0] ?? 0, x.shape.length);
    const shape = reducedShape(x.shape, [axis], false);
    const attributes = { axis: { int: axis }, keepdims: { int: 0 } };
    return cast(builder, builder.apply({ op, inputs: [x], attributes, shape, type: "int64" }), "int32");
  };
}

const softmax: TraceKernel = (call) => {
  const x = call.input("logits");
  const axis = positiveAxis(call.number("dim", -1), x.shape.length);
  return call.builder.apply({
    op: "Softmax",
    inputs: [x],
    attributes: { axis: { int: axis } },
    shape: x.shape,
    type: x.type,
  });
};

export const reductionKernels: TraceKernels = {
  All: extreme("ReduceMin"),
  Any: extreme("ReduceMax"),
  ArgMax: positionOf("ArgMax"),
  ArgMin: positionOf("ArgMin"),
  Max: extreme("ReduceMax"),
  Mean: mean,
  Min: extreme("ReduceMin"),
  Prod: reduction("ReduceProd"),
  Softmax: softmax,
  Sum: reduction("ReduceSum"),
};
