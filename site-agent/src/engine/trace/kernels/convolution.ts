import type { GraphBuilder } from "../../graph/builder.js";
import { elementwise, reshape, transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";
import { activated } from "./activations.js";
import { channelOrderOf, channelsFirst, inOrder } from "./channel-order.js";
import { filterGradient } from "./filter-gradient.js";
import { inputGradient } from "./input-gradient.js";
import { convolutionWindows, windowAttributes } from "./windows.js";

/** Filters [rows, columns, inputs, outputs] ↔ [outputs, inputs, rows, columns]. */
const outputsFirst = [3, 2, 0, 1];
const outputsLast = [2, 3, 1, 0];

function convolve(call: KernelCall): Value {
  const { builder } = call;
  const order = channelOrderOf(call);
  const filter = call.input("filter");
  const windows = convolutionWindows(call, call.input("x").shape, filter.shape);
  const x = channelsFirst(builder, call.input("x"), order);
  const shape = [x.shape[0]!, filter.shape[3]!, windows[0].output, windows[1].output];
  const inputs = [x, transpose(builder, filter, outputsFirst)];
  const attributes = windowAttributes(windows);
  return builder.apply({ op: "Conv", inputs, attributes, shape, type: "float32" });
}

const conv2d: TraceKernel = (call) => inOrder(call.builder, convolve(call), channelOrderOf(call));

/** Adds the bias, and activates, where the channels stand first. */
const fusedConv2d: TraceKernel = (call) => {
  const { builder } = call;
  const bias = call.optionalInput("bias");
  const linear = convolve(call);
  const shifted = bias === undefined ? linear : elementwise(builder, "Add", [linear, perChannel(builder, bias)]);
  const result = activated(call, shifted, (slopes) => slopesFirst(call, slopes));
  return inOrder(builder, result, channelOrderOf(call));
};

/** [channels] → [channels, 1, 1] */
function perChannel(builder: GraphBuilder, x: Value): Value {
  return x.shape.length === 1 ? reshape(builder, x, [x.shape[0]!, 1, 1]) : x;
}

/** Slopes broadcast to the convolution's result in the order that the call has. */
function slopesFirst(call: KernelCall, slopes: Value): Value {
  if (slopes.shape.length <= 1) return perChannel(call.builder, slopes);
  if (channelOrderOf(call) === "NCHW") return slopes;
  const padded = [1, 1, 1, 1].map((one, axis) => slopes.shape[axis - 4 + slopes.shape.length] ?? one);
  return channelsFirst(call.builder, reshape(call.builder, slopes, padded));
}

const backpropInput: TraceKernel = (call) => {
  const { builder } = call;
  const order = channelOrderOf(call);
  const filter = call.input("filter");
  const windows = convolutionWindows(call, call.numbers("inputShape"), filter.shape);
  const dy = channelsFirst(builder, call.input("dy"), order);
  const weights = transpose(builder, filter, outputsFirst);
  return inOrder(builder, inputGradient(builder, { dy, weights, windows }), order);
};

const backpropFilter: TraceKernel = (call) => {
  const { builder } = call;
  const order = channelOrderOf(call);
  const windows = convolutionWindows(call, call.input("x").shape, call.numbers("filterShape"));
  const first = (name: string) => channelsFirst(builder, call.input(name), order);
  return transpose(builder, filterGradient(builder, { x: first("x"), dy: first("dy"), windows }), outputsLast);
};

export const convolutionKernels: TraceKernels = {
  Conv2D: conv2d,
  Conv2DBackpropFilter: backpropFilter,
  Conv2DBackpropInput: backpropInput,
  FusedConv2D: fusedConv2d,
};
