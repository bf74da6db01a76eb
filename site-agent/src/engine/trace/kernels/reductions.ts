import { cast, reduce } from "../../graph/emit.js";
import { positiveAxis, reducedShape } from "../../graph/shapes.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";

/** Without an axis, all of them. */
function axesOf(call: KernelCall, rank: number): number[] {
  // The kernel Max has its own word for it.
  const name = call.has("reductionIndices") ? "reductionIndices" : "axis";
  if (!call.has(name)) return Array.from({ length: rank }, (_, axis) => axis);
  return call.numbers(name).map((axis) => positiveAxis(axis, rank));
}

function reduction(op: string): TraceKernel {
  return (call) => {
    const x = call.input("x");
    return reduce(call.builder, x, { op, axes: axesOf(call, x.shape.length), keepAxes: call.flag("keepDims") });
  };
}

const mean: TraceKernel = (call) => {
  const x = cast(call.builder, call.input("x"), "float32");
  const axes = axesOf(call, x.shape.length);
  return reduce(call.builder, x, { op: "ReduceMean", axes, keepAxes: call.flag("keepDims") });
};

/** ONNX reduces no booleans: all is the least of 0 and 1, any the largest. */
function quantifier(op: string): TraceKernel {
  return (call) => {
    const x = cast(call.builder, call.input("x"), "int32");
    const options = { op, axes: axesOf(call, x.shape.length), keepAxes: call.flag("keepDims") };
    return cast(call.builder, reduce(call.builder, x, options), "bool");
  };
}

function positionOf(op: string): TraceKernel {
  return (call) => {
    const { builder } = call;
    const x = call.input("x");
    const axis = positiveAxis(call.numbers("axis")[0] ?? 0, x.shape.length);
    const shape = reducedShape(x.shape, [axis], false);
    const attributes = { axis: { int: axis }, keepdims: { int: 0 } };
    return cast(builder, builder.apply({ op, inputs: [x], attributes, shape, type: "int64" }), "int32");
  };
}

const cumulativeSum: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const axis = builder.constant(BigInt64Array.of(BigInt(call.number("axis"))), [], "int64");
  const attributes = {
    exclusive: { int: Number(call.flag("exclusive")) },
    reverse: { int: Number(call.flag("reverse")) },
  };
  return builder.apply({ op: "CumSum", inputs: [x, axis], attributes, shape: x.shape, type: x.type });
};

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
  All: quantifier("ReduceMin"),
  Any: quantifier("ReduceMax"),
  ArgMax: positionOf("ArgMax"),
  ArgMin: positionOf("ArgMin"),
  Cumsum: cumulativeSum,
  Max: reduction("ReduceMax"),
  Mean: mean,
  Min: reduction("ReduceMin"),
  Prod: reduction("ReduceProd"),
  Softmax: softmax,
  Sum: reduction("ReduceSum"),
};
