import { sizeOf } from "@consilium/shared/params/layout.js";
import {
  type Graph,
  intAttribute,
  intsAttribute,
  type Operation,
  type Shape,
  uniformOf,
  type Value,
} from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { isElementwise } from "./broadcasting.js";

/** Images [batch, rows, columns, channels] → [batch, channels, rows, columns], and back. */
export const toChannelsFirst = [0, 3, 1, 2];
export const toChannelsLast = [0, 2, 3, 1];

const unary: ReadonlySet<string> = new Set(["Clip", "Elu", "LeakyRelu", "Selu", "ThresholdedRelu"]);
const reductions: ReadonlySet<string> = new Set(["ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"]);

/** How an operation is rewritten for images whose channels come first. */
export type Rearrangeable = "elementwise" | "unary" | "reduction" | "Concat" | "Expand" | "Pad" | "Slice";

export function rearrangeable(operation: Operation): Rearrangeable | undefined {
  const { op, inputs, outputs } = operation;
  const [output] = outputs;
  if (outputs.length !== 1 || output === undefined) return undefined;
  if (reductions.has(op)) return inputs[0]!.shape.length === 4 && keepsOrder(operation) ? "reduction" : undefined;
  if (output.shape.length !== 4) return undefined;
  if (isElementwise(op)) return "elementwise";
  if (unary.has(op)) return "unary";
  if (op === "Slice") return constantInts(inputs[3]).join() === "0,1,2,3" ? "Slice" : undefined;
  if (op === "Pad") return inputs[1]?.operation.constant === undefined || inputs.length > 3 ? undefined : "Pad";
  return op === "Concat" || op === "Expand" ? op : undefined;
}

/** Without its reduced axes, a result has the others in the order that they had. */
function keepsOrder(operation: Operation): boolean {
  const axes = constantInts(operation.inputs[1]);
  if (axes.length === 0) return false;
  if (intAttribute(operation, "keepdims") === 1) return true;
  const kept = toChannelsFirst.filter((axis) => !axes.includes(axis));
  return kept.every((axis, place) => place === 0 || kept[place - 1]! < axis);
}

export function constantInts(value: Value | undefined): readonly number[] {
  const data = value?.operation.constant;
  if (!(data instanceof BigInt64Array) || value === undefined) return [];
  const numbers = Array.from(data, Number);
  const size = sizeOf(value.shape);
  return numbers.length === size ? numbers : Array.from({ length: size }, () => numbers[0]!);
}

/** Moving the channels then leaves every element where it is. */
export function movesNothing(shape: Shape): boolean {
  const [, rows, columns, channels] = shape;
  return rows! * columns! === 1 || channels === 1;
}

/**
 * The operations that shall work on channels first: those of every group, connected by image-like values, at whose
 * borders fewer elements are moved that way than now.
 */
export function chooseChannelsFirst(graph: Graph): ReadonlySet<Operation> {
  const operations = operationsInOrder(graph);
  const groups = new Groups();
  for (const operation of operations) {
    if (rearrangeable(operation) === undefined) continue;
    groups.add(operation);
    for (const value of operation.inputs)
      if (isImage(value) && groups.has(value.operation)) groups.join(operation, value.operation);
  }
  const gains = new Map<Operation, number>();
  const count = (member: Operation, gain: number) => {
    const group = groups.of(member);
    gains.set(group, (gains.get(group) ?? 0) + gain);
  };
  for (const border of borders(graph, operations, groups)) count(border.member, border.gain);
  return new Set(operations.filter((operation) => groups.has(operation) && (gains.get(groups.of(operation)) ?? 0) > 0));
}

/** Values that are stored in one order or the other; constants of one number are in both. */
function isImage(value: Value): boolean {
  return value.shape.length === 4 && uniformOf(value) === undefined;
}

interface Border {
  readonly member: Operation;
  /** Elements that need not be moved any more, or, below zero, that must be moved. */
  readonly gain: number;
}

function* borders(graph: Graph, operations: readonly Operation[], groups: Groups): Generator<Border> {
  const entering = new Set<string>();
  const leaving = new Map<Value, Operation>();
  for (const operation of operations) {
    for (const value of operation.inputs) {
      if (!isImage(value) || movesNothing(value.shape)) continue;
      const [inside, from] = [groups.has(operation), groups.has(value.operation)];
      if (inside && !from) {
        const key = `${groups.of(operation).id} ${value.operation.id} ${value.index}`;
        if (!entering.has(key)) yield { member: operation, gain: gainOfEntering(value) };
        entering.add(key);
      } else if (from && !inside) {
        if (operation.op !== "Transpose") leaving.set(value, value.operation);
        else if (hasOrder(operation, toChannelsFirst)) yield { member: value.operation, gain: sizeOf(value.shape) };
      }
    }
  }
  for (const { value } of graph.outputs)
    if (groups.has(value.operation) && isImage(value)) leaving.set(value, value.operation);
  for (const [value, member] of leaving) yield { member, gain: movesNothing(value.shape) ? 0 : -sizeOf(value.shape) };
}

/** What is transposed on its way in is not transposed once more, but in another order. */
function gainOfEntering(value: Value): number {
  if (value.operation.op !== "Transpose") return -sizeOf(value.shape);
  return hasOrder(value.operation, toChannelsLast) ? sizeOf(value.shape) : 0;
}

export function hasOrder(transpose: Operation, order: readonly number[]): boolean {
  return intsAttribute(transpose, "perm").join() === order.join();
}

/** Disjoint sets of operations. */
class Groups {
  readonly #parents = new Map<Operation, Operation>();

  add(operation: Operation): void {
    this.#parents.set(operation, operation);
  }

  has(operation: Operation): boolean {
    return this.#parents.has(operation);
  }

  of(operation: Operation): Operation {
    let root = operation;
    for (let next = this.#parents.get(root); next !== undefined && next !== root; next = this.#parents.get(root))
      root = next;
    this.#parents.set(operation, root);
    return root;
  }

  join(a: Operation, b: Operation): void {
    this.#parents.set(this.of(a), this.of(b));
  }
}
