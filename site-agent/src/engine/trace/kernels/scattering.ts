import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { cast, expand, reshape } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

interface Scatter {
  /** [..., depth] positions in the leading axes of `into`. */
  readonly positions: Value;
  readonly updates: Value;
  readonly into: Value;
  /** What several updates of one position do; without it, positions must differ. */
  readonly reduction: "add" | "none";
}

function scatter(builder: GraphBuilder, { positions, updates, into, reduction }: Scatter): Value {
  const inputs = [into, cast(builder, positions, "int64"), updates];
  const attributes = { reduction: { text: reduction } };
  return builder.apply({ op: "ScatterND", inputs, attributes, shape: into.shape, type: into.type });
}

/** A plain list of positions is one of positions in the first axis. */
function positionsOf(builder: GraphBuilder, indices: Value): Value {
  return indices.shape.length > 1 ? indices : reshape(builder, indices, [sizeOf(indices.shape), 1]);
}

const unsortedSegmentSum: TraceKernel = (call) => {
  const { builder } = call;
  const [updates, segments] = [call.input("x"), call.input("segmentIds")];
  const shape = [call.number("numSegments"), ...updates.shape.slice(segments.shape.length)];
  return scatter(builder, {
    positions: reshape(builder, segments, [...segments.shape, 1]),
    updates,
    into: builder.uniform(0, shape, updates.type),
    reduction: "add",
  });
};

const scatterNd: TraceKernel = (call) => {
  const { builder } = call;
  const updates = call.input("updates");
  return scatter(builder, {
    positions: positionsOf(builder, call.input("indices")),
    updates,
    into: builder.uniform(0, call.numbers("shape"), updates.type),
    reduction: "add",
  });
};

const tensorScatterUpdate: TraceKernel = (call) =>
  scatter(call.builder, {
    positions: positionsOf(call.builder, call.input("indices")),
    updates: call.input("updates"),
    into: call.input("tensor"),
    reduction: "none",
  });

/** One value for all positions may be a scalar. */
const sparseToDense: TraceKernel = (call) => {
  const { builder } = call;
  const positions = positionsOf(builder, call.input("sparseIndices"));
  const into = expand(builder, reshape(builder, call.input("defaultValue"), []), call.numbers("outputShape"));
  const updates = expand(builder, call.input("sparseValues"), positions.shape.slice(0, -1));
  return scatter(builder, { positions, updates, into, reduction: "none" });
};

export const scatteringKernels: TraceKernels = {
  ScatterNd: scatterNd,
  SparseToDense: sparseToDense,
  TensorScatterUpdate: tensorScatterUpdate,
  UnsortedSegmentSum: unsortedSegmentSum,
};
