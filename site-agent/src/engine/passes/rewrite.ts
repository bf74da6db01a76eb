import { GraphBuilder } from "../graph/builder.js";
import type { Graph, Operation, Value } from "../graph/graph.js";
import { countUses, operationsInOrder } from "../graph/order.js";

export interface RuleContext {
  /** Makes operations of the new graph. */
  readonly builder: GraphBuilder;
  /** How often the old graph reads one of the old operation's values. */
  readonly uses: (old: Value) => number;
}

/**
 * Looks at one operation with one output.
 * @param operation as it was in the old graph
 * @param inputs its operands in the new graph, already rewritten
 * @returns its replacement in the new graph, or undefined to keep it
 */
export type Rule = (operation: Operation, inputs: readonly Value[], context: RuleContext) => Value | undefined;

/** A new graph in which a rule has replaced what it wanted to, and what nothing reads any more is gone. */
export function rewrite(graph: Graph, rule: Rule): Graph {
  const builder = new GraphBuilder();
  const uses = countUses(graph);
  const context: RuleContext = { builder, uses: (old) => uses.get(old) ?? 0 };
  const moved = new Map<Value, Value>();
  const newOf = (old: Value): Value => moved.get(old)!;
  for (const operation of operationsInOrder(graph)) {
    const inputs = operation.inputs.map(newOf);
    const replacement = operation.outputs.length === 1 ? rule(operation, inputs, context) : undefined;
    const outputs = replacement === undefined ? builder.copy(operation, inputs) : [replacement];
    operation.outputs.forEach((old, index) => {
      moved.set(old, outputs[index]!);
    });
  }
  return renamed(graph, newOf);
}

/** The same graph with other bodies of its loops, whose inputs and outputs must stay in number, shape and type. */
export function rewriteBodies(graph: Graph, change: (body: Graph) => Graph): Graph {
  const builder = new GraphBuilder();
  const moved = new Map<Value, Value>();
  const newOf = (old: Value): Value => moved.get(old)!;
  for (const operation of operationsInOrder(graph)) {
    const { body } = operation;
    const copies = builder.copy(
      body === undefined ? operation : { ...operation, body: change(body) },
      operation.inputs.map(newOf),
    );
    operation.outputs.forEach((old, index) => {
      moved.set(old, copies[index]!);
    });
  }
  return renamed(graph, newOf);
}

function renamed(graph: Graph, newOf: (old: Value) => Value): Graph {
  return {
    name: graph.name,
    inputs: graph.inputs.map(({ name, value }) => ({ name, value: newOf(value) })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: newOf(value) })),
  };
}

/** The first rule that has an answer wins. */
export function firstOf(rules: readonly Rule[]): Rule {
  return (operation, inputs, context) => {
    for (const rule of rules) {
      const replacement = rule(operation, inputs, context);
      if (replacement !== undefined) return replacement;
    }
    return undefined;
  };
}
