import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, reshape, scalarLike, transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { positiveAxis } from "../../graph/shapes.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";
import { placesEqual } from "./counting.js";

/** Along the axis; the first `batchDims` axes of x and the indices go together. */
const gather: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const indices = cast(builder, call.input("indices"), "int32");
  const axis = positiveAxis(call.number("axis", 0), x.shape.length);
  const batchDims = call.number("batchDims", 0);
  if (batchDims > 0) return gatherInBatches(builder, x, { indices, axis, batchDims });
  return gatherAlong(builder, x, { indices, axis });
};

interface Gathering {
  readonly indices: Value;
  readonly axis: number;
}

function gatherAlong(builder: GraphBuilder, x: Value, { indices, axis }: Gathering): Value {
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const attributes = { axis: { int: axis } };
  return builder.apply({ op: "Gather", inputs: [x, indices], attributes, shape, type: x.type });
}

/** As one list over all batches, whose indices are moved on by the extents of the batches before. */
function gatherInBatches(builder: GraphBuilder, x: Value, request: Gathering & { readonly batchDims: number }): Value {
  const { indices, axis, batchDims } = request;
  const batch = sizeOf(x.shape.slice(0, batchDims));
  const outer = sizeOf(x.shape.slice(batchDims, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  const extent = x.shape[axis]!;
  const count = sizeOf(indices.shape) / batch;
  const split = reshape(builder, x, [batch, outer, extent, inner]);
  const rows = reshape(builder, transpose(builder, split, [0, 2, 1, 3]), [batch * extent, outer * inner]);
  const starts = Int32Array.from({ length: batch }, (_, index) => index * extent);
  const offsets = builder.constant(starts, [batch, 1], "int32");
  const places = elementwise(builder, "Add", [reshape(builder, indices, [batch, count]), offsets]);
  const found = reshape(builder, gatherAlong(builder, rows, { indices: places, axis: 0 }), [
    batch,
    count,
    outer,
    inner,
  ]);
  const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batchDims), ...x.shape.slice(axis + 1)];
  return reshape(builder, transpose(builder, found, [0, 2, 1, 3]), shape);
}

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
  const hot = placesEqual(builder, call.input("indices"), call.number("depth"));
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
  TopK: topK,
};
