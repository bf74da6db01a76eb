import type { GraphBuilder } from "../graph/builder.js";
import { elementwise, reshape, transpose } from "../graph/emit.js";
import { floatAttribute, intAttribute, intsAttribute, type Operation, type Value } from "../graph/graph.js";
import type { Rule } from "./rewrite.js";

/** Matrix products with which transposes a device can do while it multiplies. */
export type ProductStyle = "fused" | "plain";

/** Takes a transpose of the last two axes into the product that reads it. */
export const absorbTransposes: Rule = (operation, inputs, { builder }) => {
  if (operation.op !== "Product") return undefined;
  const [a, b] = inputs.map((input) => (swapsLastAxes(input.operation) ? input.operation.inputs[0]! : input));
  if (a === inputs[0] && b === inputs[1]) return undefined;
  const flag = (name: string, turned: boolean) => ({ int: Number((intAttribute(operation, name) === 1) !== turned) });
  const attributes = {
    ...operation.attributes,
    transA: flag("transA", a !== inputs[0]),
    transB: flag("transB", b !== inputs[1]),
  };
  const { shape, type } = operation.outputs[0]!;
  return builder.apply({ op: "Product", inputs: [a!, b!], attributes, shape, type });
};

function swapsLastAxes(operation: Operation): boolean {
  if (operation.op !== "Transpose") return false;
  const order = intsAttribute(operation, "perm");
  const rank = order.length;
  return rank >= 2 && order.every((axis, place) => axis === (place < rank - 2 ? place : 2 * rank - 3 - place));
}

/** Chooses the operator for each product: Gemm for matrices; for batches com.microsoft FusedMatMul or plain MatMul. */
export function lowerProducts(style: ProductStyle): Rule {
  return (operation, inputs, { builder }) => {
    if (operation.op !== "Product") return undefined;
    const [a, b] = [inputs[0]!, inputs[1]!];
    const { shape, type } = operation.outputs[0]!;
    const [transA, transB] = [intAttribute(operation, "transA"), intAttribute(operation, "transB")];
    if (a.shape.length === 2 && b.shape.length === 2) {
      return builder.apply({ op: "Gemm", inputs, attributes: operation.attributes, shape, type });
    }
    const alpha = floatAttribute(operation, "alpha", 1);
    if (style === "fused" && a.shape.length === b.shape.length) {
      const attributes = { transA: { int: transA }, transB: { int: transB }, alpha: { float: alpha } };
      return builder.apply({ op: "FusedMatMul", domain: "com.microsoft", inputs, attributes, shape, type });
    }
    const operands = [turned(builder, a, transA), turned(builder, b, transB)];
    const plain = builder.apply({ op: "MatMul", inputs: operands, shape, type });
    return alpha === 1 ? plain : elementwise(builder, "Mul", [plain, builder.uniform(alpha, [], type)]);
  };
}

function turned(builder: GraphBuilder, x: Value, flag: number): Value {
  if (flag === 0) return x;
  const rank = x.shape.length;
  const order = x.shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  return transpose(builder, x, order);
}

/** Adds a bias inside the Gemm that it follows, also across a reshape that keeps the last axis. */
export const foldBias: Rule = (operation, inputs, context) => {
  if (operation.op !== "Add") return undefined;
  return biasInto(operation, [0, 1], { ...context, inputs }) ?? biasInto(operation, [1, 0], { ...context, inputs });
};

interface BiasContext {
  readonly builder: GraphBuilder;
  readonly inputs: readonly Value[];
  readonly uses: (old: Value) => number;
}

function biasInto(operation: Operation, [x, y]: readonly [number, number], context: BiasContext): Value | undefined {
  const { builder, inputs, uses } = context;
  const [sum, bias] = [inputs[x]!, inputs[y]!];
  const oldSum = operation.inputs[x]!;
  const columns = sum.shape.at(-1);
  if (uses(oldSum) !== 1 || bias.shape.length !== 1 || bias.shape[0] !== columns) return undefined;
  const behindReshape = sum.operation.op === "Reshape";
  const gemm = behindReshape ? sum.operation.inputs[0]!.operation : sum.operation;
  if (gemm.op !== "Gemm" || gemm.inputs.length !== 2 || gemm.outputs[0]!.shape[1] !== columns) return undefined;
  if (behindReshape && uses(oldSum.operation.inputs[0]!) !== 1) return undefined;
  const { shape, type } = gemm.outputs[0]!;
  const shifted = builder.apply({
    op: "Gemm",
    inputs: [...gemm.inputs, bias],
    attributes: gemm.attributes,
    shape,
    type,
  });
  return behindReshape ? reshape(builder, shifted, sum.shape) : shifted;
}
