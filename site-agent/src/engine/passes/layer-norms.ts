import type { GraphBuilder } from "../graph/builder.js";
import { intsConstant, type Operation, uniformOf, type Value } from "../graph/graph.js";
import { sameShape } from "../graph/shapes.js";
import type { Rule } from "./rewrite.js";

/** What standardises x over its last axis: (x − mean) / √(variance + ε). */
interface Standardised {
  readonly source: Value;
  readonly centred: Value;
  readonly epsilon: number;
}

/**
 * Standardisation over the last axis as one LayerNormalization without weights, where the graph spells it out. Its second
 * result, one over the deviation, serves gradients.
 * One rule for one graph: it remembers what it has fused.
 */
export function fuseStandardisation(): Rule {
  const fused = new Map<Value, Operation>();
  return (operation, inputs, { builder }) => {
    const found = standardisation(operation, inputs);
    if (found !== undefined) {
      const normalisation = layerNormalization(builder, found);
      fused.set(normalisation.outputs[2]!, normalisation);
      return normalisation.outputs[2]!;
    }
    return operation.op === "Mul" ? normalised(inputs, fused) : undefined;
  };
}

/** Centred times one over the deviation, in either order, is the first result. */
function normalised(inputs: readonly Value[], fused: ReadonlyMap<Value, Operation>): Value | undefined {
  for (const at of [0, 1]) {
    const normalisation = fused.get(inputs[at]!);
    const source = normalisation === undefined ? undefined : centredSource(inputs[1 - at]!);
    if (source !== undefined && source === normalisation?.inputs[0]) return normalisation.outputs[0]!;
  }
  return undefined;
}

/** Looks for Reciprocal(Sqrt(ReduceMean(c × c) + ε)), where c = x − ReduceMean(x), all means over the last axis. */
function standardisation(operation: Operation, inputs: readonly Value[]): Standardised | undefined {
  if (operation.op !== "Reciprocal") return undefined;
  const root = inputs[0]!.operation;
  const sum = root.op === "Sqrt" ? root.inputs[0]!.operation : undefined;
  if (sum?.op !== "Add") return undefined;
  const at = uniformOf(sum.inputs[1]!) === undefined ? 1 : 0;
  const epsilon = uniformOf(sum.inputs[1 - at]!);
  const square = meanOverLast(sum.inputs[at]!)?.operation;
  if (epsilon === undefined || square?.op !== "Mul" || square.inputs[0] !== square.inputs[1]) return undefined;
  const centred = square.inputs[0]!;
  const source = centredSource(centred);
  return source === undefined ? undefined : { source, centred, epsilon };
}

function centredSource({ operation }: Value): Value | undefined {
  if (operation.op !== "Sub") return undefined;
  const [x, mean] = [operation.inputs[0]!, operation.inputs[1]!];
  return meanOverLast(mean) === x ? x : undefined;
}

/** What a mean over the last axis, which it keeps, is taken of. */
function meanOverLast({ operation, shape }: Value): Value | undefined {
  if (operation.op !== "ReduceMean") return undefined;
  const [x, axes] = [operation.inputs[0]!, intsConstant(operation.inputs[1]!)];
  const last = x.shape.length - 1;
  const kept = sameShape(shape, [...x.shape.slice(0, -1), 1]);
  return kept && axes?.length === 1 && axes[0] === last ? x : undefined;
}

function layerNormalization(builder: GraphBuilder, { source, epsilon }: Standardised): Operation {
  const { shape, type } = source;
  const rows = [...shape.slice(0, -1), 1];
  const ones = builder.uniform(1, [shape.at(-1) ?? 1], type);
  return builder.operation({
    op: "LayerNormalization",
    inputs: [source, ones],
    attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
    outputs: [
      { shape, type },
      { shape: rows, type },
      { shape: rows, type },
    ],
  });
}
