import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, slice } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import { positiveAxis } from "../../graph/shapes.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";
import { padConstant } from "./shapes.js";

interface Direction {
  readonly axis: number;
  readonly reverse: boolean;
}

function operandOf(call: KernelCall): Value {
  const x = call.input("x");
  return x.type === "bool" ? cast(call.builder, x, "int32") : x;
}

function directionOf(call: KernelCall, x: Value): Direction {
  return { axis: positiveAxis(call.number("axis"), x.shape.length), reverse: call.flag("reverse") };
}

const cumulativeSum: TraceKernel = (call) => {
  const { builder } = call;
  const x = operandOf(call);
  const { axis, reverse } = directionOf(call, x);
  const place = builder.constant(BigInt64Array.of(BigInt(axis)), [], "int64");
  const attributes = { exclusive: { int: Number(call.flag("exclusive")) }, reverse: { int: Number(reverse) } };
  return builder.apply({ op: "CumSum", inputs: [x, place], attributes, shape: x.shape, type: x.type });
};

/** In as many products as the extent has binary digits: after each, an element holds twice as many factors. */
const cumulativeProduct: TraceKernel = (call) => {
  const x = operandOf(call);
  const direction = directionOf(call, x);
  const extent = x.shape[direction.axis]!;
  let current = call.flag("exclusive") ? delayed(call.builder, x, { ...direction, by: 1 }) : x;
  for (let by = 1; by < extent; by *= 2) {
    current = elementwise(call.builder, "Mul", [current, delayed(call.builder, current, { ...direction, by })]);
  }
  return current;
};

/** Moves elements along the axis, away from where the product begins, and fills with ones. */
function delayed(builder: GraphBuilder, x: Value, { axis, reverse, by }: Direction & { readonly by: number }): Value {
  const on = (amount: number) => x.shape.map((_, index) => (index === axis ? amount : 0));
  const kept = x.shape.map((extent, index) => (index === axis ? extent - by : extent));
  const begin = on(reverse ? by : 0);
  const end = kept.map((extent, index) => extent + begin[index]!);
  const rest = slice(builder, x, { begin, end, steps: kept.map(() => 1), shape: kept });
  const paddings = on(by).map((amount): [number, number] => (reverse ? [0, amount] : [amount, 0]));
  return padConstant(builder, rest, { paddings, filler: 1 });
}

export const cumulationKernels: TraceKernels = { Cumprod: cumulativeProduct, Cumsum: cumulativeSum };
