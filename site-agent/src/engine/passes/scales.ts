import type { GraphBuilder, OperationRequest } from "../graph/builder.js";
import { elementwise, reshape } from "../graph/emit.js";
import { floatAttribute, type Operation, uniformOf, type Value } from "../graph/graph.js";
import { sameShape } from "../graph/shapes.js";
import type { ProductStyle } from "./products.js";
import type { Rule } from "./rewrite.js";

/** A value multiplied by one number. */
interface Scaled {
  readonly value: Value;
  readonly factor: number;
}

/** What a float32 product with one number multiplies; undefined for everything else. */
function scaledValue(value: Value): Scaled | undefined {
  return value.operation.op === "Mul" ? factorOf(value.operation.inputs, value) : undefined;
}

function factorOf([a, b]: readonly Value[], { shape, type }: Value): Scaled | undefined {
  if (a === undefined || b === undefined || type !== "float32") return undefined;
  const [left, right] = [uniformOf(a), uniformOf(b)];
  if (right !== undefined && sameShape(a.shape, shape)) return { value: a, factor: right };
  return left !== undefined && sameShape(b.shape, shape) ? { value: b, factor: left } : undefined;
}

/**
 * Scales a product and the bias added to it, which is small, instead of their sum: the product may take the factor.
 * Also across a reshape of the sum.
 */
export const scaleBeforeBias: Rule = (operation, inputs, { builder }) => {
  const scaled = operation.op === "Mul" ? factorOf(inputs, operation.outputs[0]!) : undefined;
  if (scaled === undefined) return undefined;
  const { value, factor } = scaled;
  const sum = value.operation.op === "Reshape" ? value.operation.inputs[0]! : value;
  const [x, y] = sum.operation.op === "Add" ? sum.operation.inputs : [];
  if (x === undefined || y?.shape.length !== 1 || x.operation.op !== "Product") return undefined;
  const scale = (part: Value): Value => elementwise(builder, "Mul", [part, builder.uniform(factor, [], "float32")]);
  return reshape(builder, elementwise(builder, "Add", [scale(x), scale(y)]), value.shape);
};

const linearInFirst: ReadonlySet<string> = new Set(["Reshape", "Transpose", "ReduceSum", "ReduceMean"]);

/** Multiplies after a rearrangement or a sum instead of before, where a product may take the factor or less is left. */
export const sinkScales: Rule = (operation, inputs, { builder }) => {
  if (!linearInFirst.has(operation.op)) return undefined;
  const scaled = scaledValue(inputs[0]!);
  if (scaled === undefined) return undefined;
  const { shape, type } = operation.outputs[0]!;
  const { op, attributes, domain } = operation;
  const rest = builder.apply({ op, attributes, domain, inputs: [scaled.value, ...inputs.slice(1)], shape, type });
  return elementwise(builder, "Mul", [rest, builder.uniform(scaled.factor, [], "float32")]);
};

/** Takes factors of operands into the factor `alpha` of the product, where the device's product has one. */
export function absorbScales(style: ProductStyle): Rule {
  return (operation, inputs, { builder }) => {
    if (operation.op !== "Product") return undefined;
    if (style === "plain" && inputs.some((input) => input.shape.length > 2)) return undefined;
    const [a, b] = [scaledValue(inputs[0]!), scaledValue(inputs[1]!)];
    if (a === undefined && b === undefined) return undefined;
    const { shape, type } = operation.outputs[0]!;
    const alpha = floatAttribute(operation, "alpha", 1) * (a?.factor ?? 1) * (b?.factor ?? 1);
    return builder.apply({
      op: "Product",
      inputs: [a?.value ?? inputs[0]!, b?.value ?? inputs[1]!],
      attributes: { ...operation.attributes, alpha: { float: alpha } },
      shape,
      type,
    });
  };
}

/** Multiplies inside the Gemm or fused product whose result is scaled, also across a reshape. */
export const foldResultScale: Rule = (operation, inputs, { builder, uses }) => {
  const [x, y] = [inputs[0], inputs[1]];
  if (operation.op !== "Mul" || x === undefined || y === undefined) return undefined;
  const at = uniformOf(y) === undefined ? 1 : 0;
  const [source, factor] = [inputs[at]!, uniformOf(inputs[1 - at]!)];
  if (factor === undefined || source.type !== "float32") return undefined;
  if (!sameShape(source.shape, operation.outputs[0]!.shape)) return undefined;
  const old = operation.inputs[at]!;
  const behindReshape = source.operation.op === "Reshape";
  if (uses(old) !== 1 || (behindReshape && uses(old.operation.inputs[0]!) !== 1)) return undefined;
  const product = behindReshape ? source.operation.inputs[0]!.operation : source.operation;
  const request = scaledProduct(builder, product, factor);
  return request === undefined ? undefined : behindReshape ? reshape(builder, request, source.shape) : request;
};

function scaledProduct(builder: GraphBuilder, product: Operation, factor: number): Value | undefined {
  if (product.op !== "Gemm" && product.op !== "FusedMatMul") return undefined;
  const { op, domain, inputs, outputs } = product;
  const { shape, type } = outputs[0]!;
  const alpha = { float: floatAttribute(product, "alpha", 1) * factor };
  const beta = inputs.length === 3 ? { beta: { float: floatAttribute(product, "beta", 1) * factor } } : {};
  const request: OperationRequest = {
    op,
    domain,
    inputs,
    attributes: { ...product.attributes, alpha, ...beta },
    outputs: [{ shape, type }],
  };
  return builder.operation(request).outputs[0]!;
}

/** Adds what is accumulated inside the Gemm that makes the next term: a full matrix as its third operand. */
export const accumulateInside: Rule = (operation, inputs, { builder, uses }) => {
  if (operation.op !== "Add" || inputs[0]!.type !== "float32") return undefined;
  for (const at of [1, 0]) {
    const [term, sum] = [inputs[at]!, inputs[1 - at]!];
    const gemm = term.operation;
    const fits = gemm.op === "Gemm" && gemm.inputs.length === 2 && uses(operation.inputs[at]!) === 1;
    if (!fits || !sameShape(term.shape, sum.shape)) continue;
    const { shape, type } = term;
    return builder.apply({ op: "Gemm", inputs: [...gemm.inputs, sum], attributes: gemm.attributes, shape, type });
  }
  return undefined;
};
