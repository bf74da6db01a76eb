import { sizeOf } from "@consilium/shared/params/layout.js";
import type { GraphBuilder } from "../graph/builder.js";
import { expand, reshape } from "../graph/emit.js";
import { uniformOf, type Value } from "../graph/graph.js";
import { broadcastShape, sameShape } from "../graph/shapes.js";
import { isElementwise } from "./broadcasting.js";
import type { Rule } from "./rewrite.js";

/**
 * Element-wise operators broadcast by themselves: they read what was expanded instead of the expansion, and constants
 * as scalars. Where every operand shrinks, the result is expanded afterwards.
 */
export const sinkExpansions: Rule = (operation, inputs, { builder }) => {
  const output = operation.outputs[0]!;
  if (!isElementwise(operation.op)) return undefined;
  const small = inputs.map((input) => shrink(builder, input));
  if (small.every((value, index) => value === inputs[index])) return undefined;
  const shape = broadcastShape(small.map((value) => value.shape));
  const { op, attributes, domain } = operation;
  const result = builder.apply({ op, attributes, domain, inputs: small, shape, type: output.type });
  return expand(builder, result, output.shape);
};

/** One element repeated everywhere can be reshaped before it is repeated. */
export const reshapeBeforeExpansion: Rule = (operation, inputs, { builder }) => {
  const [x] = inputs;
  if (operation.op !== "Reshape" || x?.operation.op !== "Expand") return undefined;
  const source = x.operation.inputs[0]!;
  if (sizeOf(source.shape) !== 1) return undefined;
  const { shape } = operation.outputs[0]!;
  return expand(
    builder,
    reshape(
      builder,
      source,
      shape.map(() => 1),
    ),
    shape,
  );
};

function shrink(builder: GraphBuilder, value: Value): Value {
  if (value.operation.op === "Expand") return value.operation.inputs[0]!;
  const number = uniformOf(value);
  if (number === undefined || sameShape(value.shape, [])) return value;
  return builder.uniform(number, [], value.type);
}
