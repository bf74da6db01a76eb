import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate, scalarLike } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";

/** TensorFlow.js kernel → ONNX operator of the same meaning, one operand `x`. */
const unaryOperators = {
  Abs: "Abs",
  Ceil: "Ceil",
  Cos: "Cos",
  Erf: "Erf",
  Exp: "Exp",
  Floor: "Floor",
  Log: "Log",
  Neg: "Neg",
  Reciprocal: "Reciprocal",
  Relu: "Relu",
  Round: "Round",
  Sigmoid: "Sigmoid",
  Sign: "Sign",
  Sin: "Sin",
  Softplus: "Softplus",
  Sqrt: "Sqrt",
  Tanh: "Tanh",
};

/** Two operands `a` and `b` that broadcast; the result has their type. */
const binaryOperators = {
  Add: "Add",
  Maximum: "Max",
  Minimum: "Min",
  Multiply: "Mul",
  Pow: "Pow",
  RealDiv: "Div",
  Sub: "Sub",
};

/** Two operands that broadcast; the result is boolean. */
const comparisonOperators = {
  Equal: "Equal",
  Greater: "Greater",
  GreaterEqual: "GreaterOrEqual",
  Less: "Less",
  LessEqual: "LessOrEqual",
  LogicalAnd: "And",
  LogicalOr: "Or",
};

/** x → value, for kernels without an ONNX operator of their own. */
const composed: Record<string, (builder: GraphBuilder, x: Value) => Value> = {
  Square: (builder, x) => elementwise(builder, "Mul", [x, x]),
  Rsqrt: (builder, x) => elementwise(builder, "Reciprocal", [elementwise(builder, "Sqrt", [x])]),
  // tanh(x/2) (e^x + 1) = e^x - 1 keeps its digits near zero, where the difference would lose them.
  Expm1: (builder, x) => {
    const half = elementwise(builder, "Mul", [x, scalarLike(builder, 0.5, x)]);
    const shifted = elementwise(builder, "Add", [elementwise(builder, "Exp", [x]), scalarLike(builder, 1, x)]);
    return elementwise(builder, "Mul", [elementwise(builder, "Tanh", [half]), shifted]);
  },
  Log1p: (builder, x) => elementwise(builder, "Log", [elementwise(builder, "Add", [x, scalarLike(builder, 1, x)])]),
  IsNan: (builder, x) => predicate(builder, "IsNaN", [x]),
  IsInf: (builder, x) => predicate(builder, "IsInf", [x]),
  IsFinite: (builder, x) => {
    const odd = predicate(builder, "Or", [predicate(builder, "IsInf", [x]), predicate(builder, "IsNaN", [x])]);
    return predicate(builder, "Not", [odd]);
  },
  LogicalNot: (builder, x) => predicate(builder, "Not", [x]),
};

/** 1 above zero, `alpha` below; TensorFlow.js uses it as the derivative of rectifiers. */
const step: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const positive = predicate(builder, "Greater", [x, scalarLike(builder, 0, x)]);
  const alpha = call.number("alpha", 0);
  if (alpha === 0) return cast(builder, positive, x.type);
  return elementwise(builder, "Where", [positive, scalarLike(builder, 1, x), scalarLike(builder, alpha, x)]);
};

const squaredDifference: TraceKernel = (call) => {
  const difference = elementwise(call.builder, "Sub", [call.input("a"), call.input("b")]);
  return elementwise(call.builder, "Mul", [difference, difference]);
};

const notEqual: TraceKernel = (call) =>
  predicate(call.builder, "Not", [predicate(call.builder, "Equal", [call.input("a"), call.input("b")])]);

/** Rounds towards minus infinity, unlike ONNX's integer division. */
const floorDiv: TraceKernel = (call) => {
  const { builder } = call;
  const [a, b] = [call.input("a"), call.input("b")];
  if (a.type === "float32") return elementwise(builder, "Floor", [elementwise(builder, "Div", [a, b])]);
  const whole = elementwise(builder, "Sub", [a, elementwise(builder, "Mod", [a, b])]);
  return elementwise(builder, "Div", [whole, b]);
};

const select: TraceKernel = (call) =>
  elementwise(call.builder, "Where", [call.input("condition"), call.input("t"), call.input("e")]);

const clipByValue: TraceKernel = (call) => {
  const { builder } = call;
  const x = call.input("x");
  const least = scalarLike(builder, call.number("clipValueMin"), x);
  const most = scalarLike(builder, call.number("clipValueMax"), x);
  return builder.apply({ op: "Clip", inputs: [x, least, most], shape: x.shape, type: x.type });
};

const castTo: TraceKernel = (call) => {
  const type = call.text("dtype");
  if (type !== "float32" && type !== "int32" && type !== "bool") return call.unsupported(`dtype ${type}`);
  return cast(call.builder, call.input("x"), type);
};

const addAll: TraceKernel = (call) => call.inputs.reduce((sum, term) => elementwise(call.builder, "Add", [sum, term]));

function mapValues<In, Out>(table: Readonly<Record<string, In>>, change: (entry: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, change(entry)]));
}

export const elementwiseKernels: TraceKernels = {
  ...mapValues(
    unaryOperators,
    (op): TraceKernel =>
      (call) =>
        elementwise(call.builder, op, [call.input("x")]),
  ),
  ...mapValues(
    binaryOperators,
    (op): TraceKernel =>
      (call) =>
        elementwise(call.builder, op, [call.input("a"), call.input("b")]),
  ),
  ...mapValues(
    comparisonOperators,
    (op): TraceKernel =>
      (call) =>
        predicate(call.builder, op, [call.input("a"), call.input("b")]),
  ),
  ...mapValues(
    composed,
    (lower): TraceKernel =>
      (call) =>
        lower(call.builder, call.input("x")),
  ),
  AddN: addAll,
  Cast: castTo,
  ClipByValue: clipByValue,
  FloorDiv: floorDiv,
  NotEqual: notEqual,
  Select: select,
  SquaredDifference: squaredDifference,
  Step: step,
};
