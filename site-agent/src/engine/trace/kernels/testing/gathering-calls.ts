import { sizeOf } from "@consilium/shared/params/layout.js";
import type { CallGenerator, CallGenerators, Draw, Dtype, Operand } from "./draw.js";

const gather: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const batchDims = draw.integer(0, shape.length - 1);
  const axis = draw.integer(batchDims, shape.length - 1);
  const indices = draw.integers([...shape.slice(0, batchDims), ...draw.shape(1, 2)], 0, shape[axis]! - 1);
  return { inputs: { x: draw.any(shape), indices }, attributes: { axis, batchDims } };
};

/** [count, depth] positions inside the leading axes of a shape, all different where asked. */
function positions(draw: Draw, leading: readonly number[], count: number, different: boolean): Operand {
  const cells = sizeOf(leading);
  const chosen = different
    ? draw.different(count, cells)
    : Int32Array.from({ length: count }, () => draw.integer(0, cells - 1));
  const data = Int32Array.from(
    [...chosen].flatMap((cell) =>
      leading.map((extent, axis) => Math.floor(cell / sizeOf(leading.slice(axis + 1))) % extent),
    ),
  );
  return { shape: [count, leading.length], dtype: "int32", data };
}

const gatherNd: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const depth = draw.integer(1, shape.length);
  const indices = positions(draw, shape.slice(0, depth), draw.integer(1, 4), false);
  return { inputs: { params: draw.number(shape), indices } };
};

const scatterNd: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const depth = draw.integer(1, shape.length);
  const indices = positions(draw, shape.slice(0, depth), draw.integer(1, 4), false);
  const updates = draw.number([indices.shape[0]!, ...shape.slice(depth)]);
  return { inputs: { indices, updates }, attributes: { shape } };
};

const scatterUpdate: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const depth = draw.integer(1, shape.length);
  const leading = shape.slice(0, depth);
  const indices = positions(draw, leading, draw.integer(1, Math.min(4, sizeOf(leading))), true);
  const dtype = draw.pick<Dtype>("float32", "int32");
  const updates = draw.of(dtype, [indices.shape[0]!, ...shape.slice(depth)]);
  return { inputs: { tensor: draw.of(dtype, shape), indices, updates } };
};

const sparseToDense: CallGenerator = (draw) => {
  const outputShape = draw.shape(1, 3);
  const count = draw.integer(1, Math.min(4, sizeOf(outputShape)));
  const indices = positions(draw, outputShape, count, true);
  const sparseIndices = outputShape.length === 1 && draw.flag() ? { ...indices, shape: [count] } : indices;
  const dtype = draw.pick<Dtype>("float32", "int32");
  const sparseValues = draw.of(dtype, draw.flag() && count > 1 ? [count] : count === 1 ? [1] : []);
  return { inputs: { sparseIndices, sparseValues, defaultValue: draw.of(dtype, []) }, attributes: { outputShape } };
};

/** Of float32: of integers, TensorFlow.js's kernel makes float32. */
const segmentSum: CallGenerator = (draw) => {
  const shape = draw.shape(1, 3);
  const numSegments = draw.integer(1, 4);
  const segmentIds = draw.integers([shape[0]!], 0, numSegments - 1);
  return { inputs: { x: draw.float(shape), segmentIds }, attributes: { numSegments } };
};

const oneHot: CallGenerator = (draw) => ({
  inputs: { indices: draw.integers(draw.shape(1, 3), -1, 5) },
  attributes: {
    depth: draw.integer(1, 5),
    onValue: draw.pick(1, 2),
    offValue: draw.pick(0, -1),
    dtype: draw.pick("float32", "int32"),
  },
});

const topK: CallGenerator = (draw) => {
  const shape = draw.shape(1, 3, 5);
  return { inputs: { x: draw.number(shape) }, attributes: { k: draw.integer(1, shape.at(-1)!), sorted: true } };
};

const diagonal: CallGenerator = (draw) => ({ inputs: { x: draw.number(draw.shape(1, 2, 3)) } });

const broadcastArgs: CallGenerator = (draw) => {
  const shapes = draw.broadcastShapes().map((shape): Operand => {
    const extents = shape.length === 0 ? [1] : shape;
    return { shape: [extents.length], dtype: "int32", data: Int32Array.from(extents) };
  });
  return { inputs: { s0: shapes[0]!, s1: shapes[1]! } };
};

export const gatheringCalls: CallGenerators = {
  BroadcastArgs: broadcastArgs,
  Diag: diagonal,
  GatherNd: gatherNd,
  GatherV2: gather,
  OneHot: oneHot,
  ScatterNd: scatterNd,
  SparseToDense: sparseToDense,
  TensorScatterUpdate: scatterUpdate,
  TopK: topK,
  UnsortedSegmentSum: segmentSum,
};
