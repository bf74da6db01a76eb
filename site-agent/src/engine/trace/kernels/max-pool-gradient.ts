import type { GraphBuilder } from "../../graph/builder.js";
import { elementwise, predicate, reshape, slice, transpose } from "../../graph/emit.js";
import type { Shape, Value } from "../../graph/graph.js";
import { concatAlong } from "./joining.js";
import { padConstant } from "./shapes.js";
import type { WindowAxis, Windows } from "./windows.js";

export interface MaxPoolGradient {
  /** [batch, channels, rows, columns] */
  readonly x: Value;
  /** The largest of each window: [batch, channels, outputs down, outputs across] */
  readonly y: Value;
  readonly dy: Value;
  readonly windows: Windows;
}

/** Where an element of a window stands: which phase of the stride, and how many strides from the window's own. */
interface Place {
  readonly phase: readonly [number, number];
  readonly shift: readonly [number, number];
}

/**
 * Gives every dy to the first element of its window, row by row, that is as large as the window's largest, which is
 * where TensorFlow.js's kernel for processors sends it too. Composed of comparisons, slices and pads, which all
 * providers have: x is cut into one image per phase of the stride, in which windows move by one element.
 */
export function maxPoolGradient(builder: GraphBuilder, { x, y, dy, windows }: MaxPoolGradient): Value {
  const places = placesOf(windows);
  const grid = windows.map(gridSize) as [number, number];
  const phases = phasesOf(builder, x, { windows, grid });
  const size: Shape = [y.shape[2]!, y.shape[3]!];
  const first = places.reduceRight<Value>(
    (found, place, index) => {
      const isLargest = predicate(builder, "Equal", [elementsAt(builder, phases, { place, size }), y]);
      return elementwise(builder, "Where", [isLargest, builder.uniform(index, [], "float32"), found]);
    },
    builder.uniform(-1, [], "float32"),
  );
  const received = new Map<string, Value>();
  places.forEach((place, index) => {
    const chosen = predicate(builder, "Equal", [first, builder.uniform(index, [], "float32")]);
    const given = elementwise(builder, "Where", [chosen, dy, builder.uniform(0, [], "float32")]);
    const moved = shifted(builder, given, { shift: place.shift, grid });
    const sum = received.get(place.phase.join());
    received.set(place.phase.join(), sum === undefined ? moved : elementwise(builder, "Add", [sum, moved]));
  });
  return fromPhases(builder, received, { windows, grid, shape: x.shape });
}

/** Every element of a window, row by row. */
function placesOf([rows, columns]: Windows): Place[] {
  const all = Array.from({ length: rows.kernel * columns.kernel }, (_, index) => index);
  return all.map((index) => {
    const [row, column] = [Math.floor(index / columns.kernel), index % columns.kernel];
    return {
      phase: [row % rows.stride, column % columns.stride],
      shift: [Math.floor(row / rows.stride), Math.floor(column / columns.stride)],
    };
  });
}

/** How many strides cover the padded input and every window. */
function gridSize({ input, before, stride, output, kernel }: WindowAxis): number {
  return Math.max(Math.ceil((input + before) / stride), output + Math.floor((kernel - 1) / stride));
}

interface Grid {
  readonly windows: Windows;
  readonly grid: readonly [number, number];
}

/** [batch, channels, rows, columns] → [row phases, column phases, batch, channels, ...grid] */
function phasesOf(builder: GraphBuilder, x: Value, { windows: [rows, columns], grid }: Grid): Value {
  const [batch, channels] = [x.shape[0]!, x.shape[1]!];
  const missing = ({ stride, before, input }: WindowAxis, extent: number) => extent * stride - before - input;
  const down = [rows.before, missing(rows, grid[0])] as const;
  const across = [columns.before, missing(columns, grid[1])] as const;
  const padded = padConstant(builder, x, {
    paddings: [[0, 0], [0, 0], down, across],
    filler: Number.NEGATIVE_INFINITY,
  });
  const split = reshape(builder, padded, [batch, channels, grid[0], rows.stride, grid[1], columns.stride]);
  return transpose(builder, split, [3, 5, 0, 1, 2, 4]);
}

interface Elements {
  readonly place: Place;
  readonly size: Shape;
}

/** The element at one place of every window: [batch, channels, ...size]. */
function elementsAt(builder: GraphBuilder, phases: Value, { place, size }: Elements): Value {
  const [batch, channels] = [phases.shape[2]!, phases.shape[3]!];
  const begin = [...place.phase, 0, 0, ...place.shift];
  const shape = [1, 1, batch, channels, ...size];
  const end = begin.map((from, axis) => from + shape[axis]!);
  const window = slice(builder, phases, { begin, end, steps: begin.map(() => 1), shape });
  return reshape(builder, window, shape.slice(2));
}

interface Shift {
  readonly shift: readonly [number, number];
  readonly grid: readonly [number, number];
}

function shifted(builder: GraphBuilder, x: Value, { shift, grid }: Shift): Value {
  const down = [shift[0], grid[0] - shift[0] - x.shape[2]!] as const;
  const across = [shift[1], grid[1] - shift[1] - x.shape[3]!] as const;
  return padConstant(builder, x, { paddings: [[0, 0], [0, 0], down, across], filler: 0 });
}

interface FromPhases extends Grid {
  readonly shape: Shape;
}

/** The way back from phases to one image, without its padding. */
function fromPhases(builder: GraphBuilder, received: ReadonlyMap<string, Value>, request: FromPhases): Value {
  const { windows, grid, shape } = request;
  const [rows, columns] = windows;
  const [batch, channels] = [shape[0]!, shape[1]!];
  const flat = [1, batch, channels, ...grid];
  const nothing = builder.uniform(0, flat, "float32");
  const parts = Array.from({ length: rows.stride * columns.stride }, (_, index) => {
    const sum = received.get([Math.floor(index / columns.stride), index % columns.stride].join());
    return sum === undefined ? nothing : reshape(builder, sum, flat);
  });
  const stacked = concatAlong(builder, parts, 0);
  const split = reshape(builder, stacked, [rows.stride, columns.stride, batch, channels, ...grid]);
  const joined = reshape(builder, transpose(builder, split, [2, 3, 4, 0, 5, 1]), [
    batch,
    channels,
    grid[0] * rows.stride,
    grid[1] * columns.stride,
  ]);
  const begin = [0, 0, rows.before, columns.before];
  const end = begin.map((from, axis) => from + shape[axis]!);
  return slice(builder, joined, { begin, end, steps: [1, 1, 1, 1], shape });
}
