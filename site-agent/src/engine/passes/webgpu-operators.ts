import type { GraphBuilder } from "../graph/builder.js";
import { cast, elementwise, predicate, scalarLike } from "../graph/emit.js";
import type { Value } from "../graph/graph.js";
import { firstOf, type Rule } from "./rewrite.js";
import { movesAsFloats, slicesAsGathers } from "./webgpu-moves.js";

/** The largest finite float32. */
const largestFloat = 3.4028234663852886e38;

type Lowering = (builder: GraphBuilder, operands: readonly Value[]) => Value;

/** Element-wise operators that the provider lacks, in terms of others. */
const lowerings: Readonly<Record<string, Lowering>> = {
  IsInf: (builder, [x]) =>
    predicate(builder, "Greater", [elementwise(builder, "Abs", [x!]), scalarLike(builder, largestFloat, x!)]),
  IsNaN: (builder, [x]) => not(builder, isAtMost(builder, x!, Number.POSITIVE_INFINITY)),
  Mod: (builder, [a, b]) => modulo(builder, a!, b!),
  Or: (builder, [a, b]) => not(builder, predicate(builder, "And", [not(builder, a!), not(builder, b!)])),
  Round: (builder, [x]) => roundHalfToEven(builder, x!),
  Sign: (builder, [x]) => {
    const notAbove = where(builder, below(builder, x!, 0), [scalarLike(builder, -1, x!), x!]);
    return where(builder, above(builder, x!, 0), [scalarLike(builder, 1, x!), notAbove]);
  },
};

const replaceOperator: Rule = ({ op }, inputs, { builder }) => lowerings[op]?.(builder, inputs);

/** Compares booleans as zeros and ones. */
const equalBooleans: Rule = (operation, inputs, { builder }) => {
  if (operation.op !== "Equal" || inputs[0]?.type !== "bool") return undefined;
  return predicate(
    builder,
    "Equal",
    inputs.map((input) => cast(builder, input, "float32")),
  );
};

/** Infinite or undefined: one comparison, because nothing of either is at most the largest number. */
const testFiniteOnce: Rule = (operation, inputs, { builder }) => {
  if (operation.op !== "Or") return undefined;
  const tests = operation.inputs.map((input) => input.operation);
  const [first, second] = tests;
  const ofOne = first?.inputs[0] !== undefined && first.inputs[0] === second?.inputs[0];
  if (
    !ofOne ||
    tests
      .map(({ op }) => op)
      .sort()
      .join() !== "IsInf,IsNaN"
  )
    return undefined;
  const infinite = inputs[first.op === "IsInf" ? 0 : 1]!;
  const magnitude = infinite.operation.inputs[0]!;
  return not(builder, predicate(builder, "LessOrEqual", [magnitude, scalarLike(builder, largestFloat, magnitude)]));
};

const mergeNegations: Rule = (operation, [x]) =>
  operation.op === "Not" && x?.operation.op === "Not" ? x.operation.inputs[0] : undefined;

/**
 * For ONNX Runtime's WebGPU provider, which has no kernel for some operators and for some types of others. The result
 * has none of them and computes the same numbers, but for the sign of a zero.
 */
export const lowerForWebgpu: Rule = firstOf([
  mergeNegations,
  testFiniteOnce,
  replaceOperator,
  equalBooleans,
  movesAsFloats,
  slicesAsGathers,
]);

function not(builder: GraphBuilder, x: Value): Value {
  return predicate(builder, "Not", [x]);
}

function above(builder: GraphBuilder, x: Value, limit: number): Value {
  return predicate(builder, "Greater", [x, scalarLike(builder, limit, x)]);
}

function below(builder: GraphBuilder, x: Value, limit: number): Value {
  return predicate(builder, "Less", [x, scalarLike(builder, limit, x)]);
}

function isAtMost(builder: GraphBuilder, x: Value, limit: number): Value {
  return predicate(builder, "LessOrEqual", [elementwise(builder, "Abs", [x]), scalarLike(builder, limit, x)]);
}

function where(builder: GraphBuilder, condition: Value, [then, otherwise]: readonly [Value, Value]): Value {
  return elementwise(builder, "Where", [condition, then, otherwise]);
}

/** Halves go to the even neighbour, as ONNX and IEEE 754 say. */
function roundHalfToEven(builder: GraphBuilder, x: Value): Value {
  const floor = elementwise(builder, "Floor", [x]);
  const next = elementwise(builder, "Add", [floor, scalarLike(builder, 1, x)]);
  const rest = elementwise(builder, "Sub", [x, floor]);
  const half = elementwise(builder, "Mul", [floor, scalarLike(builder, 0.5, x)]);
  const even = predicate(builder, "Equal", [half, elementwise(builder, "Floor", [half])]);
  const atHalf = predicate(builder, "Equal", [rest, scalarLike(builder, 0.5, x)]);
  const ofHalves = where(builder, atHalf, [where(builder, even, [floor, next]), floor]);
  return where(builder, above(builder, rest, 0.5), [next, ofHalves]);
}

/** With the sign of the divisor, as ONNX's Mod of integers; division itself rounds towards zero. */
function modulo(builder: GraphBuilder, a: Value, b: Value): Value {
  const whole = elementwise(builder, "Mul", [elementwise(builder, "Div", [a, b]), b]);
  const rest = elementwise(builder, "Sub", [a, whole]);
  const direction = where(builder, below(builder, b, 0), [scalarLike(builder, -1, b), scalarLike(builder, 1, b)]);
  const opposed = below(builder, elementwise(builder, "Mul", [rest, direction]), 0);
  return where(builder, opposed, [elementwise(builder, "Add", [rest, b]), rest]);
}
