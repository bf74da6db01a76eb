import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "./builder.js";
import type { ElementType, Shape, Value } from "./graph.js";
import { broadcastShape, reducedShape, sameShape } from "./shapes.js";

/** Operators as functions; each infers its output. Those that would do nothing return their operand. */

export function elementwise(builder: GraphBuilder, op: string, inputs: readonly Value[]): Value {
  const shape = broadcastShape(inputs.map((input) => input.shape));
  return builder.apply({ op, inputs, shape, type: inputs.at(-1)!.type });
}

/** Comparisons and other element-wise operators that answer yes or no. */
export function predicate(builder: GraphBuilder, op: string, inputs: readonly Value[]): Value {
  return builder.apply({ op, inputs, shape: broadcastShape(inputs.map((input) => input.shape)), type: "bool" });
}

/** A scalar of the other operand's type. */
export function scalarLike(builder: GraphBuilder, number: number, like: Value): Value {
  return builder.uniform(number, [], like.type);
}

export function cast(builder: GraphBuilder, x: Value, type: ElementType): Value {
  if (x.type === type) return x;
  const to = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10 }[type];
  return builder.apply({ op: "Cast", inputs: [x], attributes: { to: { int: to } }, shape: x.shape, type });
}

export function reshape(builder: GraphBuilder, x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  return builder.apply({ op: "Reshape", inputs: [x, builder.ints(shape)], shape, type: x.type });
}

export function expand(builder: GraphBuilder, x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  return builder.apply({ op: "Expand", inputs: [x, builder.ints(shape)], shape, type: x.type });
}

export function transpose(builder: GraphBuilder, x: Value, permutation: readonly number[]): Value {
  if (permutation.every((from, to) => from === to)) return x;
  const shape = permutation.map((axis) => x.shape[axis]!);
  return builder.apply({
    op: "Transpose",
    inputs: [x],
    attributes: { perm: { ints: permutation } },
    shape,
    type: x.type,
  });
}

export interface Reduction {
  readonly op: string;
  readonly axes: readonly number[];
  readonly keepAxes: boolean;
}

export function reduce(builder: GraphBuilder, x: Value, { op, axes, keepAxes }: Reduction): Value {
  const shape = reducedShape(x.shape, axes, keepAxes);
  // Over axes of extent one every reduction here is the identity.
  if (sizeOf(shape) === sizeOf(x.shape)) return reshape(builder, x, shape);
  const attributes = { keepdims: { int: Number(keepAxes) } };
  return builder.apply({ op, inputs: [x, builder.ints(axes)], attributes, shape, type: x.type });
}

export interface Window {
  readonly begin: readonly number[];
  /** May be below -extent, which with a negative step means "to the first element". */
  readonly end: readonly number[];
  readonly steps: readonly number[];
  readonly shape: Shape;
}

export function slice(builder: GraphBuilder, x: Value, { begin, end, steps, shape }: Window): Value {
  if (steps.every((step) => step === 1) && sameShape(x.shape, shape)) return x;
  const axes = x.shape.map((_, axis) => axis);
  const inputs = [x, builder.ints(begin), builder.ints(end), builder.ints(axes), builder.ints(steps)];
  return builder.apply({ op: "Slice", inputs, shape, type: x.type });
}

export interface ProductOptions {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Batched matrix product with the pass-level operator "Product"; a pass chooses what the device runs. */
export function product(builder: GraphBuilder, operands: readonly [Value, Value], options: ProductOptions): Value {
  const [a, b] = operands;
  const rows = a.shape.at(options.transposeA ? -1 : -2)!;
  const columns = b.shape.at(options.transposeB ? -2 : -1)!;
  const batch = broadcastShape([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  const attributes = { transA: { int: Number(options.transposeA) }, transB: { int: Number(options.transposeB) } };
  return builder.apply({ op: "Product", inputs: [a, b], attributes, shape: [...batch, rows, columns], type: a.type });
}
