import type { CallGenerator, CallGenerators, Draw, Dtype, Operand } from "./draw.js";

function paddings(draw: Draw, rank: number, most = 2): [number, number][] {
  return Array.from({ length: rank }, () => [draw.integer(0, most), draw.integer(0, most)]);
}

const like: CallGenerator = (draw) => ({ inputs: { x: draw.any(draw.shape(0)) } });

const fill: CallGenerator = (draw) => {
  const dtype = draw.pick<Dtype>("float32", "int32");
  return { inputs: {}, attributes: { shape: draw.shape(0), value: draw.integer(-3, 3), dtype } };
};

const range: CallGenerator = (draw) => {
  const [start, step] = [draw.integer(-3, 3), draw.pick(1, 2, -1)];
  const dtype = draw.pick("float32", "int32");
  return { inputs: {}, attributes: { start, stop: start + step * draw.integer(1, 4), step, dtype } };
};

const linSpace: CallGenerator = (draw) => ({
  inputs: {},
  attributes: { start: draw.integer(-3, 0), stop: draw.integer(1, 4), num: draw.integer(1, 6) },
});

const expandDims: CallGenerator = (draw) => {
  const input = draw.any(draw.shape(0, 3));
  return { inputs: { input }, attributes: { dim: draw.integer(-1, input.shape.length) } };
};

const reshape: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const parts = draw.permutation(shape.length).map((axis) => shape[axis]!);
  const target = draw.flag() ? [-1, ...parts.slice(1)] : parts;
  return { inputs: { x: draw.any(shape) }, attributes: { shape: target } };
};

const reverse: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  return { inputs: { x: draw.any(shape) }, attributes: { dims: draw.axes(shape.length) } };
};

const slice: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const begin = shape.map((extent) => draw.integer(0, extent - 1));
  const size = shape.map((extent, axis) => (draw.flag() ? -1 : draw.integer(1, extent - begin[axis]!)));
  return { inputs: { x: draw.any(shape) }, attributes: { begin, size } };
};

/**
 * Upwards from the beginning or downwards from the end of every axis. TensorFlow.js reads wrong elements where it drops
 * an axis and steps along another.
 */
const stridedSlice: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const down = shape.map(() => draw.flag());
  const begin = shape.map((extent, axis) => (down[axis] ? extent - 1 : 0));
  const end = shape.map((extent, axis) => (down[axis] ? -extent - 1 : extent));
  const strides = down.map((yes) => draw.integer(1, 2) * (yes ? -1 : 1));
  const plain = strides.every((stride) => stride === 1);
  const shrinkAxisMask = plain ? draw.pick(0, 1) : 0;
  const masks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask };
  return { inputs: { x: draw.number(shape) }, attributes: { begin, end, strides, ...masks } };
};

const tile: CallGenerator = (draw) => {
  const shape = draw.shape(1, 3);
  return { inputs: { x: draw.any(shape) }, attributes: { reps: shape.map(() => draw.integer(1, 3)) } };
};

const transpose: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  return { inputs: { x: draw.any(shape) }, attributes: { perm: draw.permutation(shape.length) } };
};

const pad: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const attributes = { paddings: paddings(draw, shape.length), constantValue: draw.pick(0, 3) };
  return { inputs: { x: draw.number(shape) }, attributes };
};

const mirrorPad: CallGenerator = (draw) => {
  const shape = Array.from({ length: draw.integer(1, 4) }, () => draw.integer(3, 5));
  const attributes = { paddings: paddings(draw, shape.length), mode: draw.pick("reflect", "symmetric") };
  return { inputs: { x: draw.number(shape) }, attributes };
};

function listed(operands: readonly Operand[]): Record<string, Operand> {
  return Object.fromEntries(operands.map((operand, index) => [index, operand]));
}

const concat: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const axis = draw.axis(shape.length);
  const dtype = draw.pick<Dtype>("float32", "int32", "bool");
  const parts = Array.from({ length: draw.integer(1, 3) }, () =>
    draw.of(
      dtype,
      shape.map((extent, index) => (index === axis ? draw.integer(1, 3) : extent)),
    ),
  );
  return { inputs: listed(parts), attributes: { axis } };
};

const pack: CallGenerator = (draw) => {
  const shape = draw.shape(0, 3);
  const dtype = draw.pick<Dtype>("float32", "int32");
  const parts = Array.from({ length: draw.integer(1, 3) }, () => draw.of(dtype, shape));
  return { inputs: listed(parts), attributes: { axis: draw.integer(0, shape.length) } };
};

const splitV: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const axis = draw.axis(shape.length);
  const equal = draw.flag();
  const [count, size] = [draw.integer(1, 3), draw.integer(1, 2)];
  shape[axis] = equal ? count * size : 3;
  const numOrSizeSplits = equal ? count : draw.pick([1, 2], [2, -1], [1, 1, 1]);
  return { inputs: { x: draw.number(shape) }, attributes: { numOrSizeSplits, axis } };
};

const unpack: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  return { inputs: { value: draw.number(shape) }, attributes: { axis: draw.axis(shape.length) } };
};

const blocks = (draw: Draw): number[] => Array.from({ length: draw.integer(1, 2) }, () => draw.integer(1, 3));

const spaceToBatch: CallGenerator = (draw) => {
  const blockShape = blocks(draw);
  const amounts = paddings(draw, blockShape.length);
  const inner = blockShape.map((block, axis) => {
    const [before, after] = amounts[axis]!;
    const whole = block * draw.integer(2, 3);
    return whole + block * Math.ceil((before + after) / block) - before - after;
  });
  const shape = [draw.integer(1, 2), ...inner, draw.integer(1, 3)];
  return { inputs: { x: draw.number(shape) }, attributes: { blockShape, paddings: amounts } };
};

const batchToSpace: CallGenerator = (draw) => {
  const blockShape = blocks(draw);
  const count = blockShape.reduce((product, block) => product * block, 1);
  const inner = blockShape.map(() => draw.integer(2, 3));
  const crops = blockShape.map(() => [draw.integer(0, 1), draw.integer(0, 1)]);
  // What is cut off must leave something where the block is one.
  const shape = [count * draw.integer(1, 2), ...inner.map((extent) => extent + 1), draw.integer(1, 3)];
  return { inputs: { x: draw.number(shape) }, attributes: { blockShape, crops } };
};

const depthToSpace: CallGenerator = (draw) => {
  const blockSize = draw.integer(2, 3);
  const shape = [draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 3), draw.integer(1, 2) * blockSize ** 2];
  return { inputs: { x: draw.float(shape) }, attributes: { blockSize, dataFormat: "NHWC" } };
};

export const shapeCalls: CallGenerators = {
  BatchToSpaceND: batchToSpace,
  Concat: concat,
  DepthToSpace: depthToSpace,
  ExpandDims: expandDims,
  Fill: fill,
  Identity: like,
  LinSpace: linSpace,
  MirrorPad: mirrorPad,
  OnesLike: like,
  Pack: pack,
  PadV2: pad,
  Range: range,
  Reshape: reshape,
  Reverse: reverse,
  Slice: slice,
  SpaceToBatchND: spaceToBatch,
  SplitV: splitV,
  StridedSlice: stridedSlice,
  Tile: tile,
  Transpose: transpose,
  Unpack: unpack,
  ZerosLike: like,
};
