import { GraphBuilder } from "./builder.js";
import type { Graph, Operation, Value } from "./graph.js";

export interface Closed {
  /** The graph alone: it has further inputs, one for each captured value, after its own. */
  readonly graph: Graph;
  /** What the graph read from outside, in the order of those inputs. */
  readonly captured: readonly Value[];
}

/**
 * Cuts out a graph that was recorded in the middle of another one. Operations with an id below `firstInside` are
 * outside; constants are copied, everything else from there becomes an input.
 */
export function closeOver(graph: Graph, firstInside: number): Closed {
  const builder = new GraphBuilder();
  const moved = new Map<Value, Value>();
  const captured: Value[] = [];
  const inputs = graph.inputs.map(({ name, value }) => ({ name, value: builder.input(value.shape, value.type) }));
  for (const [at, { value }] of graph.inputs.entries()) moved.set(value, inputs[at]!.value);

  const capture = (value: Value): void => {
    captured.push(value);
    const input = builder.input(value.shape, value.type);
    inputs.push({ name: `captured.${captured.length}`, value: input });
    moved.set(value, input);
  };
  for (const operation of reachable(graph, firstInside)) {
    for (const input of operation.inputs) {
      if (moved.has(input)) continue;
      if (input.operation.constant === undefined) capture(input);
      else moved.set(input, builder.copy(input.operation, [])[0]!);
    }
    const copies = builder.copy(
      operation,
      operation.inputs.map((input) => moved.get(input)!),
    );
    for (const [at, value] of operation.outputs.entries()) moved.set(value, copies[at]!);
  }
  for (const { value } of graph.outputs) if (!moved.has(value)) capture(value);
  return {
    graph: { ...graph, inputs, outputs: graph.outputs.map(({ name, value }) => ({ name, value: moved.get(value)! })) },
    captured,
  };
}

/** Operations inside that the outputs need, in running order, inputs left out. */
function reachable(graph: Graph, firstInside: number): Operation[] {
  const found = new Set<Operation>();
  const open = graph.outputs.map(({ value }) => value.operation);
  for (let operation = open.pop(); operation !== undefined; operation = open.pop()) {
    if (operation.id < firstInside || operation.op === "Input" || found.has(operation)) continue;
    found.add(operation);
    for (const input of operation.inputs) open.push(input.operation);
  }
  return [...found].sort((a, b) => a.id - b.id);
}
