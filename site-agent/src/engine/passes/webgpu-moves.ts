import type { GraphBuilder } from "../graph/builder.js";
import { cast } from "../graph/emit.js";
import type { Value } from "../graph/graph.js";
import { positiveAxis, sameShape } from "../graph/shapes.js";
import type { Rule } from "./rewrite.js";

/** Operators that move elements about, which the provider has for floats but not for booleans. */
const moving: ReadonlySet<string> = new Set(["Concat", "Pad", "Slice", "Tile", "Transpose"]);

/** Moves booleans as zeros and ones. */
export const movesAsFloats: Rule = (operation, inputs, { builder }) => {
  const { shape, type } = operation.outputs[0]!;
  if (type !== "bool" || !moving.has(operation.op)) return undefined;
  const { op, domain, attributes } = operation;
  const operands = inputs.map((input) => (input.type === "bool" ? cast(builder, input, "float32") : input));
  return cast(builder, builder.apply({ op, domain, attributes, inputs: operands, shape, type: "float32" }), type);
};

/** Takes parts of integer tensors by index, axis by axis, because the provider slices floats only. */
export const slicesAsGathers: Rule = (operation, inputs, { builder }) => {
  const { shape, type } = operation.outputs[0]!;
  if (operation.op !== "Slice" || type !== "int32") return undefined;
  const [x, begin, , axes, steps] = inputs;
  const [begins, places, strides] = [integersOf(begin!), integersOf(axes!), integersOf(steps!)];
  return places.reduce((part, place, index) => {
    const axis = positiveAxis(place, part.shape.length);
    const step = strides[index]!;
    return take(builder, part, {
      axis,
      extent: shape[axis]!,
      step,
      first: startOf(begins[index]!, part.shape[axis]!, step),
    });
  }, x!);
};

interface Run {
  readonly axis: number;
  readonly first: number;
  readonly step: number;
  readonly extent: number;
}

function take(builder: GraphBuilder, x: Value, { axis, first, step, extent }: Run): Value {
  const shape = x.shape.map((before, place) => (place === axis ? extent : before));
  if (sameShape(shape, x.shape) && step === 1) return x;
  const indices = builder.ints(Array.from({ length: extent }, (_, place) => first + place * step));
  return builder.apply({
    op: "Gather",
    inputs: [x, indices],
    attributes: { axis: { int: axis } },
    shape,
    type: x.type,
  });
}

/** Where a slice begins, which may be counted from the end or lie outside. */
function startOf(begin: number, extent: number, step: number): number {
  const counted = begin < 0 ? begin + extent : begin;
  return Math.min(Math.max(counted, 0), step < 0 ? extent - 1 : extent);
}

function integersOf(list: Value): number[] {
  const data = list.operation.constant ?? [];
  const [only] = data.length === 1 ? data : [];
  const length = list.shape[0] ?? 1;
  return only === undefined ? Array.from(data, Number) : Array.from({ length }, () => Number(only));
}
