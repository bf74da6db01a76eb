import { GraphBuilder } from "../graph/builder.js";
import type { Graph, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { type Rule, rewrite } from "../passes/rewrite.js";

/** For tests: small graphs, and what is in them. */

export interface Parts {
  readonly builder: GraphBuilder;
  readonly input: (...shape: number[]) => Value;
}

/** Inputs are called x0, x1, …, outputs y0, y1, … */
export function graphOf(build: (parts: Parts) => Value | readonly Value[]): Graph {
  const builder = new GraphBuilder();
  const inputs: Value[] = [];
  const input = (...shape: number[]): Value => {
    const value = builder.input(shape, "float32");
    inputs.push(value);
    return value;
  };
  const built = build({ builder, input });
  const outputs = "operation" in built ? [built] : built;
  return {
    name: "test",
    inputs: inputs.map((value, index) => ({ name: `x${index}`, value })),
    outputs: outputs.map((value, index) => ({ name: `y${index}`, value })),
  };
}

/** Operators besides inputs and constants, in running order. */
export const operators = (graph: Graph) =>
  operationsInOrder(graph)
    .filter(({ op, constant }) => op !== "Input" && constant === undefined)
    .map(({ op }) => op);

export function after(rule: Rule, build: (parts: Parts) => Value): { operators: string[]; output: Value } {
  const graph = rewrite(graphOf(build), rule);
  return { operators: operators(graph), output: graph.outputs[0]!.value };
}
