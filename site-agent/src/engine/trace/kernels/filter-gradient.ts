import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { product, reduce, reshape, slice, transpose } from "../../graph/emit.js";
import type { Shape, Value } from "../../graph/graph.js";
import { concatAlong } from "./joining.js";
import { padConstant } from "./shapes.js";
import type { Windows } from "./windows.js";

export interface FilterGradient {
  /** [batch, inputs, rows, columns] */
  readonly x: Value;
  /** [batch, outputs, output rows, output columns] */
  readonly dy: Value;
  readonly windows: Windows;
}

/**
 * The gradient of a convolution's filter: for every place in the window, dy times the elements of x that stood there,
 * summed over images and positions → [outputs, inputs, rows, columns]. Large filters are not transposed on the way: that
 * takes as long as the products.
 */
export function filterGradient(builder: GraphBuilder, request: FilterGradient): Value {
  const { x, dy, windows } = request;
  const [inputs, outputs] = [x.shape[1]!, dy.shape[1]!];
  const places = windows[0].kernel * windows[1].kernel;
  const strided = windows.some(({ stride }) => stride > 1);
  // Cutting every second element out for every place takes longer than what matrix products save.
  if (strided && places > 1) return byConvolution(builder, request);
  // A product per image must add up as many matrices; one for all images needs the images' axes turned first.
  const positions = windows[0].output * windows[1].output;
  const perImage = places * inputs * outputs < (inputs + outputs) * positions;
  return perImage ? imageByImage(builder, request) : allImages(builder, request);
}

/** Where each place of the window stands in the padded x. */
function placesOf([rows, columns]: Windows): (readonly [number, number])[] {
  const all = Array.from({ length: rows.kernel * columns.kernel }, (_, index) => index);
  return all.map((index) => [Math.floor(index / columns.kernel), index % columns.kernel] as const);
}

function padded(builder: GraphBuilder, x: Value, [rows, columns]: Windows): Value {
  const paddings = [[0, 0] as const, [0, 0] as const, pairOf(rows), pairOf(columns)];
  return padConstant(builder, x, { paddings, filler: 0 });
}

function pairOf({ before, after }: Windows[number]): readonly [number, number] {
  return [before, after];
}

/** The elements at one place of every window: [.., .., output rows, output columns]. */
function elementsAt(
  builder: GraphBuilder,
  x: Value,
  [rows, columns]: Windows,
  place: readonly [number, number],
): Value {
  const shape = [x.shape[0]!, x.shape[1]!, rows.output, columns.output];
  const begin = [0, 0, ...place];
  const steps = [1, 1, rows.stride, columns.stride];
  const end = shape.map((extent, axis) => begin[axis]! + (extent - 1) * steps[axis]! + 1);
  return slice(builder, x, { begin, end, steps, shape });
}

/** [a, b, rows, columns] → [a, b, positions] */
function flat(builder: GraphBuilder, value: Value): Value {
  return reshape(builder, value, [value.shape[0]!, value.shape[1]!, sizeOf(value.shape.slice(2))]);
}

function imageByImage(builder: GraphBuilder, { x, dy, windows }: FilterGradient): Value {
  const whole = padded(builder, x, windows);
  const gradients = placesOf(windows).map((place) => {
    const operands = [flat(builder, dy), flat(builder, elementsAt(builder, whole, windows, place))] as const;
    const each = product(builder, operands, { transposeA: false, transposeB: true });
    return reduce(builder, each, { op: "ReduceSum", axes: [0], keepAxes: true });
  });
  const shape = [windows[0].kernel, windows[1].kernel, dy.shape[1]!, x.shape[1]!];
  return transpose(builder, reshape(builder, concatAlong(builder, gradients, 0), shape), [2, 3, 0, 1]);
}

/** One product for every place and input channel at once. */
function allImages(builder: GraphBuilder, { x, dy, windows }: FilterGradient): Value {
  const channelFirst = (value: Value) => transpose(builder, value, [1, 0, 2, 3]);
  const rows = (value: Value) => reshape(builder, value, [value.shape[0]!, sizeOf(value.shape.slice(1))]);
  const whole = channelFirst(padded(builder, x, windows));
  const parts = placesOf(windows).map((place) => rows(elementsAt(builder, whole, windows, place)));
  const operands = [rows(channelFirst(dy)), concatAlong(builder, parts, 0)] as const;
  const gradient = product(builder, operands, { transposeA: false, transposeB: true });
  const shape = [dy.shape[1]!, windows[0].kernel, windows[1].kernel, x.shape[1]!];
  return transpose(builder, reshape(builder, gradient, shape), [0, 3, 1, 2]);
}

/**
 * By a convolution whose batch is the input channels and whose channels are the images: its kernel is dy, dilated by the
 * stride.
 */
function byConvolution(builder: GraphBuilder, request: FilterGradient): Value {
  const { windows } = request;
  const [x, dy] = [request.x, request.dy].map((value) => transpose(builder, value, [1, 0, 2, 3])) as [Value, Value];
  const attributes = {
    kernel_shape: { ints: windows.map(({ output }) => output) },
    dilations: { ints: windows.map(({ stride }) => stride) },
    pads: { ints: [windows[0].before, windows[1].before, windows[0].after, windows[1].after] },
  };
  // Rows and columns that no window reached give positions beyond the kernel.
  const found = windows.map(({ kernel, unreached }) => kernel + unreached);
  const shape: Shape = [x.shape[0]!, dy.shape[0]!, found[0]!, found[1]!];
  const gradient = builder.apply({ op: "Conv", inputs: [x, dy], attributes, shape, type: "float32" });
  const wanted: Shape = [shape[0]!, shape[1]!, windows[0].kernel, windows[1].kernel];
  const window = { begin: [0, 0, 0, 0], end: wanted, steps: [1, 1, 1, 1], shape: wanted };
  return transpose(builder, slice(builder, gradient, window), [1, 0, 2, 3]);
}
