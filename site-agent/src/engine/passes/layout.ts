import type { GraphBuilder } from "../graph/builder.js";
import { reshape, transpose } from "../graph/emit.js";
import { type Graph, intAttribute, type Operation, type Shape, uniformOf, type Value } from "../graph/graph.js";
import { reducedShape } from "../graph/shapes.js";
import {
  chooseChannelsFirst,
  constantInts,
  hasOrder,
  movesNothing,
  type Rearrangeable,
  rearrangeable,
  toChannelsFirst,
  toChannelsLast,
} from "./layout-plan.js";
import { rewrite } from "./rewrite.js";

/** Where an axis of [batch, rows, columns, channels] stands when the channels come first. */
const placeOf = [0, 2, 3, 1];

/**
 * Lets element-wise operators, reductions, pads and the like work on images whose channels come first where the
 * convolutions around them do, so that the images are not turned round and back between them. A pure function of the
 * graph; what it leaves of transposes that cancel is for `mergeAliases`. Operations with several outputs, such as a
 * split, keep their order.
 */
export function pushLayouts(graph: Graph): Graph {
  const chosen = chooseChannelsFirst(graph);
  if (chosen.size === 0) return graph;
  return rewrite(graph, (operation, inputs, { builder }) => {
    const kind = rearrangeable(operation);
    if (kind === undefined || !chosen.has(operation)) return undefined;
    const result = rearranged({ kind, operation, inputs, builder });
    // Reductions may have dropped axes.
    return result.shape.length === 4 ? channelsLast(builder, result) : result;
  });
}

interface Request {
  readonly kind: Rearrangeable;
  readonly operation: Operation;
  readonly inputs: readonly Value[];
  readonly builder: GraphBuilder;
}

function rearranged({ kind, operation, inputs, builder }: Request): Value {
  const { op, attributes, domain } = operation;
  const output = operation.outputs[0]!;
  const apply = (operands: readonly Value[], changes: Partial<Operation> = {}, shape = inOrder(output.shape)) =>
    builder.apply({ op, domain, attributes, ...changes, inputs: operands, shape, type: output.type });
  const first = (value: Value) => channelsFirst(builder, value);
  const [x, ...rest] = inputs;
  const listed = (value: Value | undefined) => builder.ints(inOrder(constantInts(value)));
  switch (kind) {
    case "elementwise":
      return apply(inputs.map(first));
    case "unary":
      return apply([first(x!), ...rest]);
    case "Concat":
      return apply(inputs.map(first), { attributes: { axis: { int: placeOf[intAttribute(operation, "axis")]! } } });
    case "Expand":
      return apply([first(x!), builder.ints(inOrder(output.shape))]);
    case "Pad": {
      const amounts = constantInts(rest[0]);
      const both = [...inOrder(amounts.slice(0, 4)), ...inOrder(amounts.slice(4))];
      return apply([first(x!), builder.ints(both), ...rest.slice(1)]);
    }
    case "Slice":
      return apply([first(x!), listed(rest[0]), listed(rest[1]), rest[2]!, listed(rest[3])]);
    case "reduction": {
      const axes = constantInts(rest[0]).map((axis) => placeOf[axis]!);
      const moved = first(x!);
      const shape = reducedShape(moved.shape, axes, intAttribute(operation, "keepdims") === 1);
      return apply([moved, builder.ints(axes)], {}, shape);
    }
  }
}

/** By axis: the batch's, the channels', the rows', the columns'. */
function inOrder(byAxis: readonly number[]): number[] {
  return toChannelsFirst.map((axis) => byAxis[axis]!);
}

/** A value of lower rank broadcasts: its missing first axes have extent one. */
function channelsFirst(builder: GraphBuilder, value: Value): Value {
  const { operation } = value;
  if (operation.op === "Transpose" && hasOrder(operation, toChannelsLast)) return operation.inputs[0]!;
  const shape: Shape = [1, 1, 1, 1].map((one, axis) => value.shape[axis - 4 + value.shape.length] ?? one);
  const number = uniformOf(value);
  if (number !== undefined) return builder.uniform(number, inOrder(shape), value.type);
  const whole = reshape(builder, value, shape);
  return movesNothing(shape) ? reshape(builder, whole, inOrder(shape)) : transpose(builder, whole, toChannelsFirst);
}

function channelsLast(builder: GraphBuilder, value: Value): Value {
  return transpose(builder, value, toChannelsLast);
}
