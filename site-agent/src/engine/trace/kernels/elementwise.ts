import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate, scalarLike } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";
import { mapValues } from "./map-values.js";

/** TensorFlow.js kernel → ONNX operator of the same meaning, one operand `x`, which keeps its type. */
const unaryOperators = { Sign: "Sign" };

/** The same, and what to do with integers, for which not every provider has the operator. */
const signOperators: Readonly<Record<string, (builder: GraphBuilder, x: Value) => Value>> = {
  Abs: (builder, x) => elementwise(builder, "Max", [x, negated(builder, x)]),
  Neg: (builder, x) => negated(builder, x),
  Relu: (builder, x) => elementwise(builder, "Max", [x, scalarLike(builder, 0, x)]),
};

function negated(builder: GraphBuilder, x: Value): Value {
  return elementwise(builder, "Mul", [x, scalarLike(builder, -1, x)]);
}

/** The same for operators that know float32 only; integers stay as they are. */
const roundingOperators = { Ceil: "Ceil", Floor: "Floor", Round: "Round" };

/** The same for functions of real numbers. */
const realOperators = {
  Acos: "Acos",
  Acosh: "Acosh",
  Asin: "Asin",
  Asinh: "Asinh",
  Atan: "Atan",
  Atanh: "Atanh",
  Cos: "Cos",
  Cosh: "Cosh",
  Erf: "Erf",
  Exp: "Exp",
  Log: "Log",
  Reciprocal: "Reciprocal",
  Sigmoid: "Sigmoid",
  Sin: "Sin",
  Sinh: "Sinh",
  Softplus: "Softplus",
  Sqrt: "Sqrt",
  Tan: "Tan",
  Tanh: "Tanh",
};

/** Two operands `a` and `b` that broadcast; the result has their type. */
const binaryOperators = {
  Add: "Add",
  BitwiseAnd: "BitwiseAnd",
  Maximum: "Max",
  Minimum: "Min",
  Multiply: "Mul",
  Pow: "Pow",
  RealDiv: "Div",
  Sub: "Sub",
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

/** Integers, also of float32; rounds towards minus infinity, unlike ONNX's integer division. */
const floorDiv: TraceKernel = (call) => {
  const { builder } = call;
  const [a, b] = [call.input("a"), call.input("b")];
  if (a.type === "float32") {
    return cast(builder, elementwise(builder, "Floor", [elementwise(builder, "Div", [a, b])]), "int32");
  }
  const whole = elementwise(builder, "Sub", [a, elementwise(builder, "Mod", [a, b])]);
  return elementwise(builder, "Div", [whole, b]);
};

/** The remainder that has the divisor's sign. */
const mod: TraceKernel = (call) => {
  const { builder } = call;
  const [a, b] = [call.input("a"), call.input("b")];
  if (a.type !== "float32") return elementwise(builder, "Mod", [a, b]);
  const whole = elementwise(builder, "Floor", [elementwise(builder, "Div", [a, b])]);
  return elementwise(builder, "Sub", [a, elementwise(builder, "Mul", [whole, b])]);
};

/** The angle of the point (b, a), from -π to π. */
const atan2: TraceKernel = (call) => {
  const { builder } = call;
  const [a, b] = [call.input("a"), call.input("b")];
  const zero = scalarLike(builder, 0, a);
  const apply = (op: string, ...inputs: Value[]) => elementwise(builder, op, inputs);
  const signOfA = apply(
    "Where",
    predicate(builder, "Less", [a, zero]),
    scalarLike(builder, -1, a),
    scalarLike(builder, 1, a),
  );
  const right = apply("Atan", apply("Div", a, b));
  const left = apply("Add", right, apply("Mul", signOfA, scalarLike(builder, Math.PI, a)));
  const upright = apply("Mul", apply("Sign", a), scalarLike(builder, Math.PI / 2, a));
  const beside = apply("Where", predicate(builder, "Less", [b, zero]), left, right);
  return apply("Where", predicate(builder, "Equal", [b, zero]), upright, beside);
};

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

export const elementwiseKernels: TraceKernels = {
  ...mapValues(
    unaryOperators,
    (op): TraceKernel =>
      (call) =>
        elementwise(call.builder, op, [call.input("x")]),
  ),
  ...Object.fromEntries(
    Object.entries(signOperators).map(([op, ofIntegers]): [string, TraceKernel] => [
      op,
      (call) => {
        const { builder } = call;
        const x = call.input("x");
        return x.type === "float32" ? elementwise(builder, op, [x]) : ofIntegers(builder, x);
      },
    ]),
  ),
  ...mapValues(
    roundingOperators,
    (op): TraceKernel =>
      (call) => {
        const x = call.input("x");
        return x.type === "float32" ? elementwise(call.builder, op, [x]) : x;
      },
  ),
  ...mapValues(
    realOperators,
    (op): TraceKernel =>
      (call) =>
        elementwise(call.builder, op, [cast(call.builder, call.input("x"), "float32")]),
  ),
  ...mapValues(
    binaryOperators,
    (op): TraceKernel =>
      (call) =>
        elementwise(call.builder, op, [call.input("a"), call.input("b")]),
  ),
  ...mapValues(
    composed,
    (lower): TraceKernel =>
      (call) =>
        lower(call.builder, call.input("x")),
  ),
  AddN: addAll,
  Atan2: atan2,
  Cast: castTo,
  ClipByValue: clipByValue,
  FloorDiv: floorDiv,
  Mod: mod,
  SquaredDifference: squaredDifference,
  Step: step,
};
