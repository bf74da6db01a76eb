import { tf } from "../../../model/tf.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { expand, reshape, slice, transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { positiveAxis } from "../../graph/shapes.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

/** What only changes the order, number or arrangement of elements. */

const expandDims: TraceKernel = (call) => {
  const x = call.input("input");
  const axis = call.number("dim");
  const shape = [...x.shape];
  shape.splice(axis < 0 ? axis + x.shape.length + 1 : axis, 0, 1);
  return reshape(call.builder, x, shape);
};

const sliceKernel: TraceKernel = (call) => {
  const x = call.input("x");
  const begin = call.numbers("begin");
  const sizes = call.numbers("size");
  const shape = x.shape.map((extent, axis) => {
    const size = sizes[axis] ?? -1;
    return size < 0 ? extent - (begin[axis] ?? 0) : size;
  });
  const from = x.shape.map((_, axis) => begin[axis] ?? 0);
  const end = shape.map((extent, axis) => extent + from[axis]!);
  return slice(call.builder, x, { begin: from, end, steps: shape.map(() => 1), shape });
};

const stridedSlice: TraceKernel = (call) => {
  const x = call.input("x");
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    [...call.numbers("begin")],
    [...call.numbers("end")],
    [...call.numbers("strides")],
    call.number("beginMask"),
    call.number("endMask"),
    call.number("ellipsisMask"),
    call.number("newAxisMask"),
    call.number("shrinkAxisMask"),
  );
  const shape = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  // An end of -1 with a negative step means "to the first element", which ONNX writes as below -extent.
  const end = info.end.map((bound, axis) => (bound < 0 ? bound - x.shape[axis]! : bound));
  const window = { begin: info.begin, end, steps: info.strides, shape };
  return reshape(call.builder, slice(call.builder, x, window), info.finalShape);
};

const reverse: TraceKernel = (call) => {
  const x = call.input("x");
  const axes = call.has("dims") ? call.numbers("dims").map((axis) => positiveAxis(axis, x.shape.length)) : undefined;
  const turned = x.shape.map((_, axis) => axes?.includes(axis) ?? true);
  return slice(call.builder, x, {
    begin: x.shape.map((extent, axis) => (turned[axis] ? extent - 1 : 0)),
    end: x.shape.map((extent, axis) => (turned[axis] ? -extent - 1 : extent)),
    steps: turned.map((yes) => (yes ? -1 : 1)),
    shape: x.shape,
  });
};

const tile: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const reps = call.numbers("reps");
  const shape = x.shape.map((extent, axis) => extent * reps[axis]!);
  if (x.shape.every((extent, axis) => extent === 1 || reps[axis] === 1)) return expand(builder, x, shape);
  return builder.apply({ op: "Tile", inputs: [x, builder.ints(reps)], shape, type: x.type });
};

export interface ConstantPadding {
  /** Before and after, by axis. */
  readonly paddings: readonly (readonly [number, number])[];
  readonly filler: number;
}

export function padConstant(builder: GraphBuilder, x: Value, { paddings, filler }: ConstantPadding): Value {
  if (paddings.every(([before, after]) => before + after === 0)) return x;
  const shape = x.shape.map((extent, axis) => extent + paddings[axis]![0] + paddings[axis]![1]);
  const amounts = builder.ints([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)]);
  const inputs = [x, amounts, builder.uniform(filler, [], x.type)];
  return builder.apply({ op: "Pad", inputs, attributes: { mode: { text: "constant" } }, shape, type: x.type });
}

const pad: TraceKernel = (call) =>
  padConstant(call.builder, call.input("x"), {
    paddings: call.pairs("paddings"),
    filler: call.number("constantValue", 0),
  });

export const shapeKernels: TraceKernels = {
  ExpandDims: expandDims,
  Identity: (call) => call.input("x"),
  PadV2: pad,
  Reshape: (call) => reshape(call.builder, call.input("x"), resolved(call.input("x").shape, call.numbers("shape"))),
  Reverse: reverse,
  Slice: sliceKernel,
  StridedSlice: stridedSlice,
  Tile: tile,
  Transpose: (call) => transpose(call.builder, call.input("x"), call.numbers("perm")),
};

/** Fills in the one extent that may be written as -1. */
function resolved(from: readonly number[], to: readonly number[]): number[] {
  return tf.util.inferFromImplicitShape([...to], tf.util.sizeFromShape([...from]));
}
