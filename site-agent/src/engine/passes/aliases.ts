import { expand, reshape, transpose } from "../graph/emit.js";
import { intsAttribute, type Shape, type Value } from "../graph/graph.js";
import { sameShape } from "../graph/shapes.js";
import type { Rule } from "./rewrite.js";

/** Removes operations that change nothing, and merges chains of reshapes, transposes and expansions. */
export const mergeAliases: Rule = (operation, inputs, { builder }) => {
  const [x] = inputs;
  const { shape, type } = operation.outputs[0]!;
  switch (operation.op) {
    case "Identity":
      return x;
    case "Cast":
      return x!.type === type ? x : undefined;
    case "Reshape":
      return sameShape(x!.shape, shape) ? x : through(x!, "Reshape", (inner) => reshape(builder, inner, shape));
    case "Expand":
      return sameShape(x!.shape, shape) ? x : through(x!, "Expand", (inner) => expand(builder, inner, shape));
    case "Transpose": {
      const order = intsAttribute(operation, "perm");
      if (movesOnlyUnitAxes(x!.shape, order)) return reshape(builder, x!, shape);
      const inner = intsAttribute(x!.operation, "perm");
      return through(x!, "Transpose", (source) =>
        transpose(
          builder,
          source,
          order.map((axis) => inner[axis]!),
        ),
      );
    }
    default:
      return undefined;
  }
};

function through(x: Value, op: string, merge: (inner: Value) => Value): Value | undefined {
  return x.operation.op === op ? merge(x.operation.inputs[0]!) : undefined;
}

/** Then the elements stay where they are in memory. */
function movesOnlyUnitAxes(shape: Shape, order: readonly number[]): boolean {
  const moving = order.filter((axis) => shape[axis] !== 1);
  return moving.every((axis, place) => place === 0 || moving[place - 1]! < axis);
}
