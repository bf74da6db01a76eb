import { sizeOf } from "@consilium/shared/params/layout.js";
import { type Graph, intAttribute, type Shape } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";

/** Matrix products: of the passes, of ONNX, and as ONNX Runtime calls them after its fusions. */
const products: ReadonlySet<string> = new Set(["FusedGemm", "FusedMatMul", "Gemm", "MatMul", "Product"]);
const convolutions: ReadonlySet<string> = new Set(["Conv", "FusedConv"]);

export interface Call {
  readonly op: string;
  readonly inputs: readonly Shape[];
  /** Shape of the first output. */
  readonly output: Shape;
}

/** Additions and multiplications of a product or convolution; 0 for everything else. */
export function flopsOf({ op, inputs, output }: Call): number {
  const [first, second] = inputs;
  if (first === undefined || second === undefined) return 0;
  if (products.has(op)) {
    const rows = sizeOf(output) / Math.max(1, output.at(-1) ?? 1);
    return (2 * sizeOf(output) * sizeOf(first)) / Math.max(1, rows);
  }
  if (convolutions.has(op)) return (2 * sizeOf(output) * sizeOf(second)) / Math.max(1, second[0] ?? 1);
  return 0;
}

/** Of all products in one run of a graph, rounds of loops included. */
export function graphFlops(graph: Graph): number {
  return operationsInOrder(graph).reduce((sum, operation) => {
    const { op, inputs, outputs, body } = operation;
    if (body !== undefined) return sum + intAttribute(operation, "count") * graphFlops(body);
    return sum + flopsOf({ op, inputs: inputs.map(({ shape }) => shape), output: outputs[0]!.shape });
  }, 0);
}
