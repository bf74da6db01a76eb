import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate, reshape, scalarLike } from "../../graph/emit.js";
import type { Shape, Value } from "../../graph/graph.js";
import { positiveAxis } from "../../graph/shapes.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

const gather: TraceKernel = (call) => {
  const [x, indices] = [call.input("x"), call.input("indices")];
  if (call.number("batchDims", 0) !== 0) return call.unsupported("batchDims above zero");
  const axis = positiveAxis(call.number("axis", 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const inputs = [x, cast(call.builder, indices, "int32")];
  return call.builder.apply({ op: "Gather", inputs, attributes: { axis: { int: axis } }, shape, type: x.type });
};

interface Scatter {
  /** [..., depth] positions in the leading axes of the result. */
  readonly positions: Value;
  readonly updates: Value;
  readonly shape: Shape;
}

/** Zeros, plus every update at its position; several at one position add up. */
function scatterAdd(builder: GraphBuilder, { positions, updates, shape }: Scatter): Value {
  const zeros = builder.uniform(0, shape, updates.type);
  const inputs = [zeros, cast(builder, positions, "int64"), updates];
  const attributes = { reduction: { text: "add" } };
  return builder.apply({ op: "ScatterND", inputs, attributes, shape, type: updates.type });
}

const unsortedSegmentSum: TraceKernel = (call) => {
  const [x, segments] = [call.input("x"), call.input("segmentIds")];
  const shape = [call.number("numSegments"), ...x.shape.slice(segments.shape.length)];
  const positions = reshape(call.builder, segments, [...segments.shape, 1]);
  return scatterAdd(call.builder, { positions, updates: x, shape });
};

const scatterNd: TraceKernel = (call) =>
  scatterAdd(call.builder, {
    positions: call.input("indices"),
    updates: call.input("updates"),
    shape: call.numbers("shape"),
  });

const gatherNd: TraceKernel = (call) => {
  const { builder } = call;
  const [params, indices] = [call.input("params"), call.input("indices")];
  const depth = indices.shape.at(-1) ?? 0;
  const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
  const inputs = [params, cast(builder, indices, "int64")];
  return builder.apply({ op: "GatherND", inputs, shape, type: params.type });
};

/** By comparison with 0 … depth-1: an index outside the depth gives a row without a hot element, as in TensorFlow.js. */
const oneHot: TraceKernel = (call) => {
  const { builder } = call;
  const indices = cast(builder, call.input("indices"), "int32");
  const depth = call.number("depth");
  const places = builder.constant(
    Int32Array.from({ length: depth }, (_, place) => place),
    [depth],
    "int32",
  );
  const hot = predicate(builder, "Equal", [reshape(builder, indices, [...indices.shape, 1]), places]);
  const type = call.has("dtype") && call.text("dtype") === "float32" ? "float32" : "int32";
  const [on, off] = [call.number("onValue", 1), call.number("offValue", 0)];
  if (on === 1 && off === 0) return cast(builder, hot, type);
  return elementwise(builder, "Where", [hot, builder.uniform(on, [], type), builder.uniform(off, [], type)]);
};

/** The k largest along the last axis, and where they were. */
const topK: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const k = call.number("k");
  const shape = [...x.shape.slice(0, -1), k];
  const outputs = [
    { shape, type: x.type },
    { shape, type: "int64" as const },
  ];
  const attributes = { axis: { int: -1 }, largest: { int: 1 }, sorted: { int: 1 } };
  const [values, places] = builder.operation({
    op: "TopK",
    inputs: [x, builder.ints([k])],
    outputs,
    attributes,
  }).outputs;
  return [values!, cast(builder, places!, "int32")];
};

/** A matrix (of tensors) with x on its diagonal. */
const diagonal: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const size = sizeOf(x.shape);
  const eye = Uint8Array.from({ length: size * size }, (_, place) => Number(place % (size + 1) === 0));
  const mask = builder.constant(eye, [size, size], "bool");
  const placed = elementwise(builder, "Where", [mask, reshape(builder, x, [1, size]), scalarLike(builder, 0, x)]);
  return reshape(builder, placed, [...x.shape, ...x.shape]);
};

export const gatheringKernels: TraceKernels = {
  Diag: diagonal,
  GatherNd: gatherNd,
  GatherV2: gather,
  OneHot: oneHot,
  ScatterNd: scatterNd,
  TopK: topK,
  UnsortedSegmentSum: unsortedSegmentSum,
};
