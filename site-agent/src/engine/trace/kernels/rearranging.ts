import { tf } from "../../../model/tf.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { reshape, slice, transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";
import { channelOrderOf } from "./channel-order.js";
import { picked } from "./images.js";
import { padConstant } from "./shapes.js";

const { getPermuted, getReshaped, getReshapedPermuted } = tf.backend_util;

interface Rearrangement {
  readonly split: readonly number[];
  readonly order: readonly number[];
  readonly shape: readonly number[];
}

function rearranged(builder: GraphBuilder, x: Value, { split, order, shape }: Rearrangement): Value {
  return reshape(builder, transpose(builder, reshape(builder, x, split), order), shape);
}

const spaceToBatch: TraceKernel = (call) => {
  const { builder } = call;
  const block = [...call.numbers("blockShape")];
  const count = block.reduce((product, extent) => product * extent, 1);
  const x = call.input("x");
  const given = call.pairs("paddings");
  const padded = padConstant(builder, x, {
    paddings: x.shape.map((_, axis) => given[axis - 1] ?? [0, 0]),
    filler: 0,
  });
  const split = getReshaped([...padded.shape], block, count, false);
  const order = getPermuted(split.length, block.length, false);
  const shape = getReshapedPermuted([...padded.shape], block, count, false);
  return rearranged(builder, padded, { split, order, shape });
};

const batchToSpace: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const block = [...call.numbers("blockShape")];
  const count = block.reduce((product, extent) => product * extent, 1);
  const split = getReshaped([...x.shape], block, count);
  const order = getPermuted(split.length, block.length);
  const shape = getReshapedPermuted([...x.shape], block, count);
  const whole = rearranged(builder, x, { split, order, shape });
  const crops = call.pairs("crops");
  const cropOf = (axis: number) => crops[axis - 1] ?? [0, 0];
  const begin = shape.map((_, axis) => cropOf(axis)[0]);
  const end = shape.map((extent, axis) => extent - cropOf(axis)[1]);
  const kept = end.map((bound, axis) => bound - begin[axis]!);
  return slice(builder, whole, { begin, end, steps: kept.map(() => 1), shape: kept });
};

/** Channels [block row, block column, depth] become a block of pixels of the remaining depth. */
const depthToSpace: TraceKernel = (call) => {
  if (channelOrderOf(call) === "NCHW") return call.unsupported("NCHW");
  const x = call.input("x");
  const block = call.number("blockSize");
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const depth = channels / (block * block);
  return rearranged(call.builder, x, {
    split: [batch, height, width, block, block, depth],
    order: [0, 1, 3, 2, 4, 5],
    shape: [batch, height * block, width * block, depth],
  });
};

/** The border is mirrored with its outermost element ("symmetric") or without it ("reflect"). */
const mirrorPad: TraceKernel = (call) => {
  const x = call.input("x");
  const skipped = call.text("mode") === "reflect" ? 1 : 0;
  return call.pairs("paddings").reduce((padded, [before, after], axis) => {
    const extent = x.shape[axis]!;
    const places = Int32Array.from({ length: before + extent + after }, (_, index) => {
      const place = index - before;
      if (place < 0) return -place - 1 + skipped;
      return place < extent ? place : 2 * extent - 1 - place - skipped;
    });
    return picked(call.builder, padded, { axis, places });
  }, x);
};

export const rearrangingKernels: TraceKernels = {
  BatchToSpaceND: batchToSpace,
  DepthToSpace: depthToSpace,
  MirrorPad: mirrorPad,
  SpaceToBatchND: spaceToBatch,
};
