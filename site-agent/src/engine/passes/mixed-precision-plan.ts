import { sizeOf } from "@consilium/shared/params/layout.js";
import type { Graph, Operation, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { fitsHalf, isUnbounded, policyOf, type Readers } from "./mixed-precision-policy.js";

/**
 * What is known of a value: "half" is stored as float16; "full" as float32, but may be rounded where it meets larger
 * float16 operands; "wide" as float32 because its range or its digits do not fit float16.
 */
type Standing = "half" | "full" | "wide";

export interface PrecisionPlan {
  /** Operations that read their float operands as float16 and write float16. */
  readonly computes: ReadonlySet<Operation>;
  /** Operations that compute in float32 and whose result is rounded to float16 once, for every reader. */
  readonly stores: ReadonlySet<Operation>;
  /** Of those that compute: products that add to a float32 matrix, such as a sum of gradients, which stays float32. */
  readonly sums: ReadonlySet<Operation>;
}

/**
 * Decides where a graph may use float16. Only what lies between products does: an operation that follows a product and
 * from which another product is reached. So losses, metrics, the treatment of gradients and the optimiser keep float32.
 */
export function planPrecision(graph: Graph): PrecisionPlan {
  const operations = operationsInOrder(graph);
  const readers = readersOf(operations);
  const before = beforeProducts(operations);
  const standings = new Map<Value, Standing>();
  const [computes, stores, sums] = [new Set<Operation>(), new Set<Operation>(), new Set<Operation>()];
  for (const operation of operations) {
    const standing = (value: Value): Standing => standings.get(value) ?? "full";
    const half = computesInHalf(operation, { standing, readers, before });
    const stored = !half && readByProduct(operation, readers);
    if (half) computes.add(operation);
    if (stored) stores.add(operation);
    if (half && addsToFull(operation, standing)) sums.add(operation);
    const wide = isWide(operation, { standing, readers });
    for (const output of operation.outputs) {
      const rounded = isRounded(output) && (half || stored) && !sums.has(operation);
      standings.set(output, rounded ? "half" : wide ? "wide" : "full");
    }
  }
  return { computes, stores, sums };
}

export function isFloat({ type }: Value): boolean {
  return type === "float32";
}

/** Whether an operation that computes in float16 writes this result of its in float16: statistics stay float32. */
export function isRounded(output: Value): boolean {
  return isFloat(output) && (policyOf(output.operation) !== "normalises" || output.index === 0);
}

interface Known {
  readonly standing: (value: Value) => Standing;
  readonly readers: Readers;
  /** Operations from which a product is reached. */
  readonly before: ReadonlySet<Operation>;
}

function computesInHalf(operation: Operation, { standing, readers, before }: Known): boolean {
  switch (policyOf(operation)) {
    case "half":
      return true;
    case "moves":
      return before.has(operation) ? agree(operation, standing) : allHalf(operation, standing);
    case "follows":
      return (
        before.has(operation) &&
        !isUnbounded(operation, readers) &&
        !isSummedSquare(operation, readers) &&
        agree(operation, standing)
      );
    case "normalises":
      return before.has(operation) && standing(operation.inputs[0]!) === "half";
    default:
      return false;
  }
}

/**
 * At least one operand is float16 already, and the others are constants, masks, or made of fewer numbers, such as a bias
 * or a row's mean.
 */
function agree(operation: Operation, standing: (value: Value) => Standing): boolean {
  const floats = operation.inputs.filter(isFloat);
  const largest = Math.max(...operation.outputs.map(({ shape }) => sizeOf(shape)));
  const fits = (value: Value): boolean => {
    if (standing(value) !== "full") return standing(value) === "half";
    const source = sourceOf(value);
    return source.operation.constant === undefined
      ? isMask(source) || sizeOf(source.shape) < largest
      : fitsHalf(source);
  };
  return floats.some((value) => standing(value) === "half") && floats.every(fits);
}

/** Behind the last product nothing more is rounded, but what is float16 may be moved as such. */
function allHalf({ inputs }: Operation, standing: (value: Value) => Standing): boolean {
  const floats = inputs.filter(isFloat);
  return floats.length > 0 && floats.every((value) => standing(value) === "half");
}

/** The value whose elements another one repeats or rearranges. */
function sourceOf(value: Value): Value {
  const [source, ...others] = value.operation.inputs.filter(isFloat);
  const moves = source !== undefined && others.length === 0 && policyOf(value.operation) === "moves";
  return moves ? sourceOf(source) : value;
}

/** Numbers made of truth values. */
function isMask({ operation: { op, inputs } }: Value): boolean {
  return op === "Cast" && inputs[0]?.type === "bool";
}

/** Squares that are only summed up: the sum is in float32, and they would lose digits and range on the way. */
function isSummedSquare({ op, inputs, outputs }: Operation, readers: Readers): boolean {
  if (op !== "Mul" || inputs[0] !== inputs[1]) return false;
  return (readers.get(outputs[0]!) ?? []).every((reader) => reader.op.startsWith("Reduce"));
}

/** A product's third operand, unless it is a bias or already rounded. */
function addsToFull({ op, inputs, outputs }: Operation, standing: (value: Value) => Standing): boolean {
  const [, , added] = inputs;
  if (op !== "Gemm" || added === undefined) return false;
  return standing(added) !== "half" && sizeOf(added.shape) === sizeOf(outputs[0]!.shape);
}

/** A softmax bounds whatever it reads; other operators hand on what float16 cannot hold. */
function isWide(operation: Operation, { standing, readers }: Pick<Known, "standing" | "readers">): boolean {
  if (policyOf(operation) === "inside") return false;
  return isUnbounded(operation, readers) || operation.inputs.some((value) => standing(value) === "wide");
}

function readByProduct(operation: Operation, readers: Readers): boolean {
  const policy = policyOf(operation);
  if (policy !== "inside" && policy !== "normalises") return false;
  const open = [operation.outputs[0]!];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const reader of readers.get(value) ?? []) {
      if (policyOf(reader) === "half") return true;
      if (policyOf(reader) === "moves") open.push(...reader.outputs);
    }
  }
  return false;
}

function readersOf(operations: readonly Operation[]): Readers {
  const readers = new Map<Value, Operation[]>();
  for (const operation of operations) {
    for (const value of operation.inputs) {
      const known = readers.get(value);
      if (known === undefined) readers.set(value, [operation]);
      else known.push(operation);
    }
  }
  return readers;
}

function beforeProducts(operations: readonly Operation[]): ReadonlySet<Operation> {
  const found = new Set<Operation>();
  for (const operation of operations.toReversed()) {
    if (policyOf(operation) !== "half" && !found.has(operation)) continue;
    for (const { operation: operand } of operation.inputs) found.add(operand);
  }
  return found;
}
