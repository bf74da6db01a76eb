import type { GraphBuilder } from "../graph/builder.js";
import { elementwise, expand } from "../graph/emit.js";
import { type Operation, uniformOf, type Value } from "../graph/graph.js";
import { sameShape } from "../graph/shapes.js";
import type { Rule } from "./rewrite.js";

type Numbers = readonly number[];

const evaluators: Readonly<Record<string, (numbers: Numbers) => number>> = {
  Add: ([a, b]) => a! + b!,
  Div: ([a, b]) => a! / b!,
  Exp: ([x]) => Math.exp(x!),
  Log: ([x]) => Math.log(x!),
  Max: ([a, b]) => Math.max(a!, b!),
  Min: ([a, b]) => Math.min(a!, b!),
  Mul: ([a, b]) => a! * b!,
  Neg: ([x]) => -x!,
  Reciprocal: ([x]) => 1 / x!,
  Sqrt: ([x]) => Math.sqrt(x!),
  Sub: ([a, b]) => a! - b!,
};

const rearranging: ReadonlySet<string> = new Set(["Expand", "Reshape", "Slice", "Tile", "Transpose"]);

/** Computes what depends on uniform float constants only. */
export const foldUniforms: Rule = (operation, inputs, { builder }) => {
  const { shape, type } = operation.outputs[0]!;
  const [x] = inputs;
  const first = x === undefined ? undefined : uniformOf(x);
  if (first === undefined) return undefined;
  if (rearranging.has(operation.op)) return builder.uniform(first, shape, type);
  if (operation.op === "Cast" && x!.type !== "float32") {
    return builder.uniform(type === "bool" ? Number(first !== 0) : first, shape, type);
  }
  const evaluate = evaluators[operation.op];
  if (evaluate === undefined || type !== "float32") return undefined;
  const numbers = inputs.map(uniformOf).filter((number) => number !== undefined);
  return numbers.length === inputs.length ? builder.uniform(evaluate(numbers), shape, type) : undefined;
};

/** Drops factors of one and terms of zero. */
export const dropNeutral: Rule = (operation, inputs, { builder }) => {
  const [a, b] = inputs;
  if (a === undefined || b === undefined) return undefined;
  const kept = neutralSide(operation.op, a, b);
  if (kept !== undefined) return expand(builder, kept, operation.outputs[0]!.shape);
  if (operation.op === "Sub" && uniformOf(a) === 0) {
    return expand(builder, elementwise(builder, "Neg", [b]), operation.outputs[0]!.shape);
  }
  return undefined;
};

function neutralSide(op: string, a: Value, b: Value): Value | undefined {
  const [left, right] = [uniformOf(a), uniformOf(b)];
  switch (op) {
    case "Mul":
      return right === 1 ? a : left === 1 ? b : undefined;
    case "Add":
      return right === 0 ? a : left === 0 ? b : undefined;
    case "Sub":
      return right === 0 ? a : undefined;
    case "Div":
    case "Pow":
      return right === 1 ? a : undefined;
    default:
      return undefined;
  }
}

/** Products are cheaper than quotients and powers; two constant factors are one. Changes results by a rounding only. */
export const simplifyArithmetic: Rule = (operation, inputs, { builder }) => {
  const [x, y] = inputs;
  if (x?.type !== "float32" || y === undefined) return undefined;
  const number = uniformOf(y);
  const output = operation.outputs[0]!;
  if (operation.op === "Pow" && number === 2 && sameShape(x.shape, output.shape)) {
    return elementwise(builder, "Mul", [x, x]);
  }
  if (operation.op === "Div" && number !== undefined && sameShape(x.shape, output.shape)) {
    return scaled(builder, x, 1 / number);
  }
  return operation.op === "Mul" ? mergeFactors(builder, operation, [x, y]) : undefined;
};

function mergeFactors(builder: GraphBuilder, operation: Operation, [x, y]: readonly [Value, Value]): Value | undefined {
  const [outer, inner] = uniformOf(y) === undefined ? [x, y] : [y, x];
  const factor = uniformOf(outer);
  if (factor === undefined || inner.operation.op !== "Mul") return undefined;
  if (!sameShape(inner.shape, operation.outputs[0]!.shape)) return undefined;
  const [a, b] = inner.operation.inputs;
  const [constant, rest] = uniformOf(b!) === undefined ? [a!, b!] : [b!, a!];
  const second = uniformOf(constant);
  if (second === undefined || !sameShape(rest.shape, inner.shape)) return undefined;
  return scaled(builder, rest, factor * second);
}

function scaled(builder: GraphBuilder, x: Value, factor: number): Value {
  return elementwise(builder, "Mul", [x, builder.uniform(factor, [], "float32")]);
}
