import { cast, elementwise, reshape } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";
import { channelsFirst, inOrder } from "./channel-order.js";
import { maxPoolGradient } from "./max-pool-gradient.js";
import { poolWindows, type WindowAxis, type Windows, windowAttributes } from "./windows.js";

/** Images [batch, rows, columns, channels]; padding is never the largest and does not count in a mean. */
function pool(op: "MaxPool" | "AveragePool"): TraceKernel {
  return (call) => {
    const { builder } = call;
    const source = call.input("x");
    const windows = poolWindows(call, source.shape);
    if (isIdentity(windows)) return source;
    const x = channelsFirst(builder, cast(builder, source, "float32"));
    const { dilations: _, ...attributes } = windowAttributes(windows);
    const shape = [x.shape[0]!, x.shape[1]!, windows[0].output, windows[1].output];
    const pooled = builder.apply({ op, inputs: [x], attributes, shape, type: "float32" });
    return cast(builder, inOrder(builder, pooled), source.type);
  };
}

function isIdentity(windows: Windows): boolean {
  return windows.every(({ kernel, stride, before, after }) => kernel === 1 && stride === 1 && before + after === 0);
}

const maxPoolGrad: TraceKernel = (call) => {
  const { builder } = call;
  const [x, y, dy] = [call.input("input"), call.input("output"), call.input("dy")];
  const windows = poolWindows(call, x.shape);
  const first = (value: Value) => channelsFirst(builder, value);
  const dx = maxPoolGradient(builder, { x: first(x), y: first(y), dy: first(dy), windows });
  return inOrder(builder, dx);
};

/**
 * Spreads every dy evenly over the elements that its window averaged, padding left out. TensorFlow.js's own kernel
 * divides by the whole window also where the forward pass did not.
 */
const avgPoolGrad: TraceKernel = (call) => {
  const { builder } = call;
  const windows = poolWindows(call, call.input("input").shape);
  const dy = channelsFirst(builder, call.input("dy"));
  const shares = elementwise(builder, "Mul", [dy, shareOfElement(call, windows)]);
  const [batch, channels] = [dy.shape[0]!, dy.shape[1]!];
  // Channels are independent: as images of one channel they share one kernel of ones.
  const flat = reshape(builder, shares, [batch * channels, 1, windows[0].output, windows[1].output]);
  const ones = builder.uniform(1, [1, 1, windows[0].kernel, windows[1].kernel], "float32");
  const attributes = {
    ...windowAttributes(windows),
    output_padding: { ints: windows.map(({ unreached }) => unreached) },
  };
  const [height, width] = [windows[0].input, windows[1].input];
  const shape = [batch * channels, 1, height, width];
  const spread = builder.apply({ op: "ConvTranspose", inputs: [flat, ones], attributes, shape, type: "float32" });
  return inOrder(builder, reshape(builder, spread, [batch, channels, height, width]));
};

/** One over the number of elements under each window: a number, or [rows, columns] where padding is left out. */
function shareOfElement({ builder }: KernelCall, [rows, columns]: Windows): Value {
  const [high, wide] = [elementsPerWindow(rows), elementsPerWindow(columns)];
  const shares = high.flatMap((height) => wide.map((width) => 1 / (height * width)));
  const uniform = shares.every((share) => share === shares[0]);
  if (uniform) return builder.uniform(shares[0]!, [], "float32");
  return builder.constant(Float32Array.from(shares), [high.length, wide.length], "float32");
}

function elementsPerWindow({ output, stride, before, kernel, input }: WindowAxis): number[] {
  return Array.from({ length: output }, (_, place) => {
    const start = place * stride - before;
    return Math.min(input, start + kernel) - Math.max(0, start);
  });
}

export const poolingKernels: TraceKernels = {
  AvgPool: pool("AveragePool"),
  AvgPoolGrad: avgPoolGrad,
  MaxPool: pool("MaxPool"),
  MaxPoolGrad: maxPoolGrad,
};
