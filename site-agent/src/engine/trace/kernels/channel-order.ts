import type { GraphBuilder } from "../../graph/builder.js";
import { transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall } from "../kernel-call.js";

/** Where the channels of an image batch stand: TensorFlow.js's usual NHWC, or NCHW as ONNX's operators have it. */
export type ChannelOrder = "NHWC" | "NCHW";

export function channelOrderOf(call: KernelCall): ChannelOrder {
  return call.has("dataFormat") && call.text("dataFormat") === "NCHW" ? "NCHW" : "NHWC";
}

export function channelsFirst(builder: GraphBuilder, x: Value, order: ChannelOrder = "NHWC"): Value {
  return order === "NCHW" ? x : transpose(builder, x, [0, 3, 1, 2]);
}

/** The way back from `channelsFirst`. */
export function inOrder(builder: GraphBuilder, x: Value, order: ChannelOrder = "NHWC"): Value {
  return order === "NCHW" ? x : transpose(builder, x, [0, 2, 3, 1]);
}
