import type { Graph, Operation } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";

/**
 * The order in which ONNX Runtime runs a graph: depth first from what nothing reads, the newest operation first, and
 * from each operation its newest operand first. Its own fusions move single operations within that order.
 */
export function runningOrder(graph: Graph): Operation[] {
  const operations = operationsInOrder(graph);
  const order: Operation[] = [];
  const seen = new Set<Operation>();
  const open: { readonly operation: Operation; readonly leave: boolean }[] = leavesOf(operations).map(entering);
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const { operation, leave } = entry;
    if (leave) order.push(operation);
    else if (!seen.has(operation)) {
      seen.add(operation);
      open.push({ operation, leave: true });
      const operands = [...new Set(operation.inputs.map((input) => input.operation))].sort((a, b) => a.id - b.id);
      for (const operand of operands) if (!seen.has(operand)) open.push(entering(operand));
    }
  }
  return order;
}

function entering(operation: Operation): { operation: Operation; leave: boolean } {
  return { operation, leave: false };
}

function leavesOf(operations: readonly Operation[]): Operation[] {
  const read = new Set(operations.flatMap((operation) => operation.inputs.map((input) => input.operation)));
  return operations.filter((operation) => !read.has(operation));
}
