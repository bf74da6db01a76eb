import { GraphBuilder } from "../graph/builder.js";
import { type Graph, intAttribute, type Operation, type Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";

type Bindings = Map<Value, Value>;

/**
 * The same graph with the body of every "Repeat" written out as often as it runs, because the WebGPU provider has no
 * loops. The rounds still run one after the other, each on the memory of the one before.
 */
export function unrollRepeats(graph: Graph): Graph {
  const builder = new GraphBuilder();
  const moved: Bindings = new Map();
  copyOperations(builder, graph, moved);
  const named = ({ name, value }: Graph["inputs"][number]) => ({ name, value: moved.get(value)! });
  return { name: graph.name, inputs: graph.inputs.map(named), outputs: graph.outputs.map(named) };
}

/** Adds what is not bound yet. */
function copyOperations(builder: GraphBuilder, graph: Graph, moved: Bindings): void {
  for (const operation of operationsInOrder(graph)) {
    if (operation.outputs.every((output) => moved.has(output))) continue;
    const inputs = operation.inputs.map((input) => moved.get(input)!);
    const { body } = operation;
    const outputs =
      body === undefined ? builder.copy(operation, inputs) : unrolled(builder, { operation, body, inputs });
    operation.outputs.forEach((old, index) => {
      moved.set(old, outputs[index]!);
    });
  }
}

interface Loop {
  readonly operation: Operation;
  readonly body: Graph;
  readonly inputs: readonly Value[];
}

/** A body reads the index of its round, the carried values and what it captured, and gives the next carried values. */
function unrolled(builder: GraphBuilder, { operation, body, inputs }: Loop): readonly Value[] {
  const carriedCount = operation.outputs.length;
  const captured = inputs.slice(carriedCount);
  let carried: readonly Value[] = inputs.slice(0, carriedCount);
  for (let round = 0; round < intAttribute(operation, "count"); round++) {
    const index = builder.constant(BigInt64Array.of(BigInt(round)), [], "int64");
    const given = [index, ...carried, ...captured];
    const moved: Bindings = new Map(body.inputs.map(({ value }, place) => [value, given[place]!]));
    copyOperations(builder, body, moved);
    carried = body.outputs.map(({ value }) => moved.get(value)!);
  }
  return carried;
}
