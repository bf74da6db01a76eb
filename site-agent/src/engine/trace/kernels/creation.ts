import { typedArray } from "../../graph/builder.js";
import type { ElementType } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";

function dtypeOf(call: KernelCall): ElementType {
  const dtype = call.has("dtype") ? call.text("dtype") : "float32";
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  return call.unsupported(`dtype ${dtype}`);
}

function uniformLike(number: number): TraceKernel {
  return (call) => {
    const x = call.input("x");
    return call.builder.uniform(number, x.shape, x.type);
  };
}

const range: TraceKernel = (call) => {
  const [start, stop, step] = [call.number("start"), call.number("stop"), call.number("step")];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const numbers = Array.from({ length }, (_, place) => start + place * step);
  const type = dtypeOf(call);
  return call.builder.constant(typedArray(type, numbers), [length], type);
};

const linSpace: TraceKernel = (call) => {
  const [start, stop, count] = [call.number("start"), call.number("stop"), call.number("num")];
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  const numbers = Float32Array.from({ length: count }, (_, place) => start + place * step);
  return call.builder.constant(numbers, [count], "float32");
};

export const creationKernels: TraceKernels = {
  Fill: (call) => call.builder.uniform(call.number("value"), call.numbers("shape"), dtypeOf(call)),
  LinSpace: linSpace,
  OnesLike: uniformLike(1),
  Range: range,
  ZerosLike: uniformLike(0),
};
