import { elementwise, scalarLike } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";

/** (x - mean) × scale / √(variance + ε) + offset, where everything but x is per channel or as large as x. */
const fusedBatchNorm: TraceKernel = (call) => {
  const { builder } = call;
  const [x, variance] = [call.input("x"), call.input("variance")];
  const apply = (op: string, ...inputs: Value[]) => elementwise(builder, op, inputs);
  const epsilon = scalarLike(builder, call.number("varianceEpsilon", 0.001), x);
  const inverse = apply("Reciprocal", apply("Sqrt", apply("Add", variance, epsilon)));
  const scaled = apply("Mul", apply("Sub", x, call.input("mean")), factorOf(call, inverse));
  const offset = call.optionalInput("offset");
  return offset === undefined ? scaled : apply("Add", scaled, offset);
};

function factorOf(call: KernelCall, inverse: Value): Value {
  const scale = call.optionalInput("scale");
  return scale === undefined ? inverse : elementwise(call.builder, "Mul", [inverse, scale]);
}

export const normalizationKernels: TraceKernels = { FusedBatchNorm: fusedBatchNorm };
