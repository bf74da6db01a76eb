import type { Graph, Operation, Value } from "./graph.js";

/** Every operation that an output needs, and every input, in running order. What nothing needs is left out. */
export function operationsInOrder(graph: Graph): Operation[] {
  const found = new Set<Operation>(graph.inputs.map(({ value }) => value.operation));
  const open = graph.outputs.map(({ value }) => value.operation);
  for (let operation = open.pop(); operation !== undefined; operation = open.pop()) {
    if (found.has(operation)) continue;
    found.add(operation);
    for (const input of operation.inputs) open.push(input.operation);
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/** How many operands and graph outputs read each value. */
export function countUses(graph: Graph): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>();
  const count = (value: Value) => uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const operation of operationsInOrder(graph)) operation.inputs.forEach(count);
  for (const { value } of graph.outputs) count(value);
  return uses;
}
