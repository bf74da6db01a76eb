import type { ConstantData, Graph, Operation, Value } from "../graph/graph.js";
import { rewrite } from "./rewrite.js";

/** Computes equal expressions once. */
export function shareEqual(graph: Graph): Graph {
  const known = new Map<string, Value>();
  const constants = new Map<ConstantData, number>();
  return rewrite(graph, (operation, inputs, { builder }) => {
    if (operation.op === "Input" || operation.body !== undefined) return undefined;
    const key = keyOf(operation, inputs, constants);
    const shared = known.get(key) ?? builder.copy(operation, inputs)[0]!;
    known.set(key, shared);
    return shared;
  });
}

function keyOf(operation: Operation, inputs: readonly Value[], constants: Map<ConstantData, number>): string {
  const { op, domain, attributes, constant } = operation;
  const { shape, type } = operation.outputs[0]!;
  const operands = inputs.map((input) => [input.operation.id, input.index]);
  const data = constant === undefined ? "" : dataKey(constant, constants);
  return JSON.stringify([op, domain, attributes, operands, shape, type, data]);
}

/** Short constants are compared by value, long ones by identity. */
function dataKey(data: ConstantData, constants: Map<ConstantData, number>): string {
  if (data.length <= 64) return [...data].map((item) => (Object.is(item, -0) ? "-0" : String(item))).join();
  const known = constants.get(data) ?? constants.size;
  constants.set(data, known);
  return `#${known}`;
}
