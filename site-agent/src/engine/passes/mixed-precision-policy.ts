import { type Operation, uniformOf, type Value } from "../graph/graph.js";

/**
 * How an operator takes part in mixed precision:
 * - "half": a matrix product. Its operands are rounded to float16, and so is its result; devices accumulate in float32.
 * - "moves": only moves elements, in the type of its operands.
 * - "follows": arithmetic whose result is of the size of its operands: float16 when an operand is.
 * - "normalises": has statistics over many elements, which the ONNX standard asks in float32 for float16 operands.
 * - "inside": computes in float32, but a result that a product reads is stored as float16.
 * - "full": computes and stores in float32. Every operator that is not in the table, so reductions (sums, means,
 *   variances, norms), roots, powers, logarithms and whatever a later pass invents.
 */
export type Policy = "half" | "moves" | "follows" | "normalises" | "inside" | "full";

const operators: Readonly<Record<Exclude<Policy, "full">, readonly string[]>> = {
  half: ["Conv", "ConvTranspose", "Einsum", "FusedMatMul", "Gemm", "MatMul", "Product"],
  moves: [
    ...["Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape"],
    ...["Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"],
  ],
  follows: [
    ...["Abs", "Add", "BiasGelu", "Clip", "Div", "Equal", "Erf", "Exp", "Gelu", "Greater", "GreaterOrEqual"],
    ...[
      "Less",
      "LessOrEqual",
      "Max",
      "MaxPool",
      "Min",
      "Mul",
      "Neg",
      "Relu",
      "Sigmoid",
      "Sign",
      "Sub",
      "Tanh",
      "Where",
    ],
  ],
  normalises: ["LayerNormalization"],
  inside: ["Softmax"],
};

const policies: ReadonlyMap<string, Policy> = new Map(
  Object.entries(operators).flatMap(([policy, names]) => names.map((name) => [name, policy as Policy])),
);

export function policyOf({ op }: Operation): Policy {
  return policies.get(op) ?? "full";
}

const largestHalf = 65504;
const smallestNormalHalf = 2 ** -14;

/** Whether float16 holds a constant: no element too large, and a single number not too small to keep its digits. */
export function fitsHalf(constant: Value): boolean {
  const number = uniformOf(constant);
  const vanishes = number !== undefined && number !== 0 && Math.abs(number) < smallestNormalHalf;
  return !vanishes && !isTooLarge(constant);
}

function isTooLarge({ operation: { constant } }: Value): boolean {
  return constant instanceof Float32Array && constant.some((element) => Math.abs(element) > largestHalf);
}

/**
 * Whether results may lie where float16 has no numbers although the operands do not: logarithms, powers, exponentials
 * and quotients without a bound, arithmetic with a number that is too large.
 */
export function isUnbounded(operation: Operation, readers: Readers): boolean {
  const [x, y] = operation.inputs;
  switch (operation.op) {
    case "Exp":
      return !isBell(operation, readers);
    case "Div":
      return y === undefined || (y.operation.op === "Exp" ? !isBell(y.operation, readers) : !isNumber(y));
    case "Reciprocal":
      return x === undefined || !isRootOfBounded(x);
    case "Log":
    case "Pow":
      return true;
    default:
      return operation.inputs.some(isTooLarge);
  }
}

export type Readers = ReadonlyMap<Value, readonly Operation[]>;

function isNumber(value: Value): boolean {
  return uniformOf(value) !== undefined && fitsHalf(value);
}

/** exp(-x²), or exp(x²) that is only divided by, as in GELU's gradient: where it overflows, the quotient is zero. */
function isBell({ inputs, outputs }: Operation, readers: Readers): boolean {
  const sign = inputs[0] === undefined ? 0 : signOfSquares(inputs[0]);
  const divided = (readers.get(outputs[0]!) ?? []).every(
    (reader) => reader.op === "Div" && reader.inputs[1] === outputs[0] && reader.inputs[0] !== outputs[0],
  );
  return sign < 0 || (sign > 0 && divided);
}

/** The sign of a product of squares and numbers; 0 where it is not known. */
function signOfSquares(value: Value): number {
  const factors = factorsOf(value);
  const others = factors.filter((factor) => uniformOf(factor) === undefined);
  const paired = others.every((factor) => others.filter((other) => other === factor).length % 2 === 0);
  return paired ? factors.reduce((product, factor) => product * Math.sign(uniformOf(factor) ?? 1), 1) : 0;
}

function factorsOf(value: Value): readonly Value[] {
  const { op, inputs } = value.operation;
  return op === "Mul" ? inputs.flatMap(factorsOf) : [value];
}

/** The root of a variance plus a constant, large enough for one over it to stay far below the largest float16. */
function isRootOfBounded(value: Value): boolean {
  const sum = value.operation.op === "Sqrt" ? value.operation.inputs[0]?.operation : undefined;
  if (sum?.op !== "Add") return false;
  return sum.inputs.some((term) => (uniformOf(term) ?? 0) >= 1e-8);
}
