import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { product, reshape, slice, transpose } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { type WindowAxis, type Windows, windowAttributes } from "./windows.js";

export interface InputGradient {
  /** [batch, outputs, output rows, output columns] */
  readonly dy: Value;
  /** [outputs, inputs, rows, columns] */
  readonly weights: Value;
  readonly windows: Windows;
}

/** The gradient of a convolution's input → [batch, inputs, rows, columns]. */
export function inputGradient(builder: GraphBuilder, request: InputGradient): Value {
  const { weights, windows } = request;
  const steppingByOne = windows.every(({ stride, unreached }) => stride === 1 && unreached === 0);
  if (steppingByOne && windows.every(isPoint)) return byProduct(builder, request);
  // Turning the filter round pays where it is small beside the images.
  const images = request.dy.shape[0]! * weights.shape[1]! * windows[0].input * windows[1].input;
  const turnable = windows.every(({ kernel, before, after }) => before < kernel && after < kernel);
  if (steppingByOne && turnable && 4 * sizeOf(weights.shape) <= images) return byConvolution(builder, request);
  return byTransposedConvolution(builder, request);
}

function isPoint({ kernel, before, after }: WindowAxis): boolean {
  return kernel === 1 && before + after === 0;
}

function shapeOf({ dy, weights, windows }: InputGradient): number[] {
  return [dy.shape[0]!, weights.shape[1]!, windows[0].input, windows[1].input];
}

/** Each position apart: weightsᵀ dy. */
function byProduct(builder: GraphBuilder, request: InputGradient): Value {
  const { dy, weights } = request;
  const [outputs, inputs] = [weights.shape[0]!, weights.shape[1]!];
  const matrix = reshape(builder, weights, [1, outputs, inputs]);
  const columns = reshape(builder, dy, [dy.shape[0]!, outputs, sizeOf(dy.shape.slice(2))]);
  const dx = product(builder, [matrix, columns], { transposeA: true, transposeB: false });
  return reshape(builder, dx, shapeOf(request));
}

/** With a stride of one, dy convolved with the filter turned round. */
function byConvolution(builder: GraphBuilder, request: InputGradient): Value {
  const { dy, weights, windows } = request;
  const attributes = windowAttributes([turnedAxis(windows[0]), turnedAxis(windows[1])]);
  const inputs = [dy, turned(builder, weights)];
  return builder.apply({ op: "Conv", inputs, attributes, shape: shapeOf(request), type: "float32" });
}

function turnedAxis(axis: WindowAxis): WindowAxis {
  return { ...axis, before: axis.kernel - 1 - axis.before, after: axis.kernel - 1 - axis.after };
}

/** [outputs, inputs, rows, columns] → [inputs, outputs, rows, columns], rows and columns from the last to the first. */
function turned(builder: GraphBuilder, weights: Value): Value {
  const [outputs, inputs, rows, columns] = weights.shape as [number, number, number, number];
  const window = {
    begin: [0, 0, rows - 1, columns - 1],
    end: [outputs, inputs, -rows - 1, -columns - 1],
    steps: [1, 1, -1, -1],
    shape: weights.shape,
  };
  return transpose(builder, slice(builder, weights, window), [1, 0, 2, 3]);
}

/** What padding and stride leave over at the end is the output padding. */
function byTransposedConvolution(builder: GraphBuilder, request: InputGradient): Value {
  const { dy, weights, windows } = request;
  const attributes = {
    ...windowAttributes(windows),
    output_padding: { ints: windows.map(({ unreached }) => unreached) },
  };
  const inputs = [dy, weights];
  return builder.apply({ op: "ConvTranspose", inputs, attributes, shape: shapeOf(request), type: "float32" });
}
