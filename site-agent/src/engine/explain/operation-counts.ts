import { type GraphProto, ModelProto } from "@consilium/shared/onnx/gen/onnx.js";
import type { Graph } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";

/** How often each operator stands in a graph. Bodies of loops count once; inputs and constants do not count. */
export type OperationCounts = ReadonlyMap<string, number>;

export function countOperations(graph: Graph): OperationCounts {
  const counts = new Map<string, number>();
  const visit = (inner: Graph): void => {
    for (const { op, constant, body } of operationsInOrder(inner)) {
      if (op === "Input" || constant !== undefined) continue;
      add(counts, op === "Repeat" ? "Loop" : op);
      if (body !== undefined) visit(body);
    }
  };
  visit(graph);
  return counts;
}

/** Of a model file, such as the one that ONNX Runtime writes after its own fusions. */
export function countModelOperations(model: Uint8Array): OperationCounts {
  const counts = new Map<string, number>();
  const visit = ({ node }: GraphProto): void => {
    for (const { opType, attribute } of node) {
      add(counts, opType);
      for (const { g } of attribute) if (g !== undefined) visit(g);
    }
  };
  const { graph } = ModelProto.decode(model);
  if (graph !== undefined) visit(graph);
  return counts;
}

export interface OperationRow {
  readonly op: string;
  readonly traced: number;
  readonly optimised: number;
  /** After ONNX Runtime's own fusions; absent where no session was opened. */
  readonly runtime?: number;
}

export interface OperationStages {
  readonly traced: OperationCounts;
  readonly optimised: OperationCounts;
  readonly runtime?: OperationCounts;
}

/** One row for each operator of any stage, the most frequent at the last stage first. */
export function operationRows({ traced, optimised, runtime }: OperationStages): OperationRow[] {
  const last = runtime ?? optimised;
  const names = [...new Set([...last.keys(), ...optimised.keys(), ...traced.keys()])];
  const countIn = (counts: OperationCounts, op: string): number => counts.get(op) ?? 0;
  return names
    .sort((a, b) => countIn(last, b) - countIn(last, a) || countIn(traced, b) - countIn(traced, a))
    .map((op) => ({
      ...{ op, traced: countIn(traced, op), optimised: countIn(optimised, op) },
      ...(runtime === undefined ? {} : { runtime: countIn(runtime, op) }),
    }));
}

function add(counts: Map<string, number>, op: string): void {
  counts.set(op, (counts.get(op) ?? 0) + 1);
}
