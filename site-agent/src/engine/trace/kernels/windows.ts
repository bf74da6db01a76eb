import { tf } from "../../../model/tf.js";
import type { Attributes, Shape } from "../../graph/graph.js";
import type { KernelCall } from "../kernel-call.js";
import { type ChannelOrder, channelOrderOf } from "./channel-order.js";

/** One spatial axis of a sliding window. */
export interface WindowAxis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before the first element. */
  readonly before: number;
  /** As much padding after the last element as the last window needs: never negative. */
  readonly after: number;
  /** Elements at the end, padding included, that no window reaches. */
  readonly unreached: number;
}

/** Rows, then columns. */
export type Windows = readonly [WindowAxis, WindowAxis];

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;
type Padding = Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
type Rounding = Parameters<typeof tf.backend_util.computeConv2DInfo>[5];

/** @param kernel [rows, columns] */
export function poolWindows(call: KernelCall, inputShape: Shape): Windows {
  const info = tf.backend_util.computePool2DInfo(
    fourOf(call, inputShape),
    pairOf(call, "filterSize"),
    pairOf(call, "strides"),
    1,
    paddingOf(call),
    roundingOf(call),
  );
  return windowsOf(info);
}

/** @param filterShape [rows, columns, inputs, outputs] */
export function convolutionWindows(call: KernelCall, inputShape: Shape, filterShape: Shape): Windows {
  const order: ChannelOrder = channelOrderOf(call);
  const info = tf.backend_util.computeConv2DInfo(
    fourOf(call, inputShape),
    fourOf(call, filterShape),
    pairOf(call, "strides"),
    call.has("dilations") ? pairOf(call, "dilations") : 1,
    paddingOf(call),
    roundingOf(call),
    false,
    order === "NCHW" ? "channelsFirst" : "channelsLast",
  );
  return windowsOf(info);
}

function windowsOf(info: ConvInfo): Windows {
  const rows = {
    input: info.inHeight,
    output: info.outHeight,
    kernel: info.filterHeight,
    stride: info.strideHeight,
    dilation: info.dilationHeight,
    before: info.padInfo.top,
  };
  const columns = {
    input: info.inWidth,
    output: info.outWidth,
    kernel: info.filterWidth,
    stride: info.strideWidth,
    dilation: info.dilationWidth,
    before: info.padInfo.left,
  };
  return [completed(rows), completed(columns)];
}

function completed(axis: Omit<WindowAxis, "after" | "unreached">): WindowAxis {
  const reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  const missing = reach - axis.input - axis.before;
  return { ...axis, after: Math.max(0, missing), unreached: Math.max(0, -missing) };
}

/** ONNX's attributes of a sliding window. */
export function windowAttributes([rows, columns]: Windows): Attributes {
  return {
    kernel_shape: { ints: [rows.kernel, columns.kernel] },
    strides: { ints: [rows.stride, columns.stride] },
    dilations: { ints: [rows.dilation, columns.dilation] },
    pads: { ints: [rows.before, columns.before, rows.after, columns.after] },
  };
}

function pairOf(call: KernelCall, name: string): [number, number] {
  const [first = 1, second = first] = call.numbers(name);
  return [first, second];
}

function fourOf(call: KernelCall, shape: Shape): [number, number, number, number] {
  const [a, b, c, d] = shape;
  if (a === undefined || b === undefined || c === undefined || d === undefined || shape.length !== 4) {
    return call.unsupported(`rank ${shape.length}`);
  }
  return [a, b, c, d];
}

function paddingOf(call: KernelCall): Padding {
  if (call.isNumber("pad")) return call.number("pad");
  if (call.isText("pad")) return call.text("pad") === "same" ? "same" : "valid";
  const [first, second, third, fourth] = call.pairs("pad").map(([before, after]): [number, number] => [before, after]);
  if (first === undefined || second === undefined || third === undefined || fourth === undefined) {
    return call.unsupported("padding of fewer than four axes");
  }
  return [first, second, third, fourth];
}

function roundingOf(call: KernelCall): Rounding {
  if (!call.has("dimRoundingMode")) return undefined;
  const mode = call.text("dimRoundingMode");
  return mode === "ceil" || mode === "round" ? mode : "floor";
}
