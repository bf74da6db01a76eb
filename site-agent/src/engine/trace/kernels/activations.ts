import { tf } from "../../../model/tf.js";
import type { GraphBuilder } from "../../graph/builder.js";
import { cast, elementwise, predicate, scalarLike } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";

/** With operators that every provider has; a slope may be a number or a tensor that broadcasts. */
function leaky(builder: GraphBuilder, x: Value, slope: Value): Value {
  const negative = predicate(builder, "Less", [x, scalarLike(builder, 0, x)]);
  return elementwise(builder, "Where", [negative, elementwise(builder, "Mul", [x, slope]), x]);
}

function clipped(builder: GraphBuilder, x: Value, [least, most]: readonly [number, number]): Value {
  const inputs = [x, scalarLike(builder, least, x), scalarLike(builder, most, x)];
  return builder.apply({ op: "Clip", inputs, shape: x.shape, type: x.type });
}

function selu(builder: GraphBuilder, x: Value): Value {
  const { SELU_SCALE: scale, SELU_SCALEALPHA: scaleAlpha } = tf.backend_util;
  const below = elementwise(builder, "Mul", [elementwise(builder, "Elu", [x]), scalarLike(builder, scaleAlpha, x)]);
  const above = elementwise(builder, "Mul", [x, scalarLike(builder, scale, x)]);
  const negative = predicate(builder, "Less", [x, scalarLike(builder, 0, x)]);
  return elementwise(builder, "Where", [negative, below, above]);
}

/** From the activation y: 1 above zero, eˣ = y + 1 below. */
const eluGrad: TraceKernel = (call) => {
  const { builder } = call;
  const [dy, y] = [call.input("dy"), call.input("y")];
  const below = elementwise(builder, "Mul", [dy, elementwise(builder, "Add", [y, scalarLike(builder, 1, y)])]);
  const negative = predicate(builder, "Less", [y, scalarLike(builder, 0, y)]);
  return elementwise(builder, "Where", [negative, below, dy]);
};

const leakyRelu: TraceKernel = (call) => {
  const x = cast(call.builder, call.input("x"), "float32");
  return leaky(call.builder, x, scalarLike(call.builder, call.number("alpha"), x));
};

function floatOf(call: KernelCall): Value {
  return cast(call.builder, call.input("x"), "float32");
}

/** The activation that a fused kernel asks for, of its linear result. */
export function activated(
  call: KernelCall,
  x: Value,
  alignSlopes: (slopes: Value) => Value = (slopes) => slopes,
): Value {
  const { builder } = call;
  const activation = call.has("activation") ? call.text("activation") : "linear";
  switch (activation) {
    case "linear":
      return x;
    case "relu":
      return elementwise(builder, "Relu", [x]);
    case "relu6":
      return clipped(builder, x, [0, 6]);
    case "elu":
      return elementwise(builder, "Elu", [x]);
    case "sigmoid":
      return elementwise(builder, "Sigmoid", [x]);
    case "leakyrelu":
      return leaky(builder, x, scalarLike(builder, call.number("leakyreluAlpha", 0.2), x));
    case "prelu":
      return leaky(builder, x, alignSlopes(call.input("preluActivationWeights")));
    default:
      return call.unsupported(`activation ${activation}`);
  }
}

export const activationKernels: TraceKernels = {
  Elu: (call) => elementwise(call.builder, "Elu", [floatOf(call)]),
  EluGrad: eluGrad,
  LeakyRelu: leakyRelu,
  Prelu: (call) => leaky(call.builder, floatOf(call), call.input("alpha")),
  Relu6: (call) => clipped(call.builder, call.input("x"), [0, 6]),
  Selu: (call) => selu(call.builder, floatOf(call)),
};
