import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";
import { mapValues } from "./map-values.js";

/** Two operands that broadcast; the result is boolean. */
const comparisonOperators = {
  Equal: "Equal",
  LogicalAnd: "And",
  LogicalOr: "Or",
};

/** The same; ONNX's do not compare booleans. */
const orderOperators = {
  Greater: "Greater",
  GreaterEqual: "GreaterOrEqual",
  Less: "Less",
  LessEqual: "LessOrEqual",
};

/** x → yes or no. */
const tests: Record<string, (builder: GraphBuilder, x: Value) => Value> = {
  IsNan: (builder, x) => predicate(builder, "IsNaN", [cast(builder, x, "float32")]),
  IsInf: (builder, x) => predicate(builder, "IsInf", [cast(builder, x, "float32")]),
  IsFinite: (builder, x) => {
    const number = cast(builder, x, "float32");
    const operands = [predicate(builder, "IsInf", [number]), predicate(builder, "IsNaN", [number])];
    return predicate(builder, "Not", [predicate(builder, "Or", operands)]);
  },
  LogicalNot: (builder, x) => predicate(builder, "Not", [x]),
};

const notEqual: TraceKernel = (call) =>
  predicate(call.builder, "Not", [predicate(call.builder, "Equal", [call.input("a"), call.input("b")])]);

/** ONNX Runtime does not choose between booleans. */
const select: TraceKernel = (call) => {
  const type = call.input("t").type;
  const chosen = elementwise(call.builder, "Where", [call.input("condition"), numeric(call, "t"), numeric(call, "e")]);
  return cast(call.builder, chosen, type);
};

/** Booleans as 0 and 1. */
function numeric(call: KernelCall, name: string): Value {
  const x = call.input(name);
  return x.type === "bool" ? cast(call.builder, x, "int32") : x;
}

export const logicKernels: TraceKernels = {
  ...mapValues(
    comparisonOperators,
    (op): TraceKernel =>
      (call) =>
        predicate(call.builder, op, [call.input("a"), call.input("b")]),
  ),
  ...mapValues(
    orderOperators,
    (op): TraceKernel =>
      (call) =>
        predicate(call.builder, op, [numeric(call, "a"), numeric(call, "b")]),
  ),
  ...mapValues(
    tests,
    (lower): TraceKernel =>
      (call) =>
        lower(call.builder, call.input("x")),
  ),
  NotEqual: notEqual,
  Select: select,
};
