import { randomFor } from "@consilium/shared/random.js";
import { expect, it } from "vitest";
import type { TensorSpec } from "../../../model/tensors.js";
import { type Tensor, type Tensor2D, type Tensor4D, tf } from "../../../model/tf.js";
import { disagreement, drawInputs, programOf, runBoth } from "../../testing/agreement.js";

const float = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });
const int = (...shape: number[]): TensorSpec => ({ shape, dtype: "int32" });

interface Case {
  /** Differentiated where they are float32. */
  readonly operands: readonly TensorSpec[];
  readonly run: (...operands: Tensor[]) => Tensor;
}

const image = float(2, 6, 7, 3);
const square = float(1, 4, 4, 2);
const unary = (run: (x: Tensor) => Tensor): Case => ({ operands: [float(3, 4)], run });
const inside = (x: Tensor) => tf.mul(tf.tanh(x), 0.9);
const positive = (x: Tensor) => tf.add(tf.abs(x), 0.2);
const convolution = (side: number, ...rest: [number | [number, number], "same" | "valid" | number]): Case => ({
  operands: [image, float(side, side, 3, 4)],
  run: (x, filter) => tf.conv2d(x as Tensor4D, filter as Tensor4D, ...rest),
});
const fused = (activation: "linear" | "relu" | "elu" | "relu6"): Case => ({
  operands: [image, float(3, 3, 3, 4), float(4)],
  run: (x, filter, bias) =>
    tf.fused.conv2d({ x: x as Tensor4D, filter: filter as Tensor4D, strides: 1, pad: "same", bias, activation }),
});

const cases: Readonly<Record<string, Case>> = {
  "convolution, same": convolution(3, 1, "same"),
  "convolution, valid": convolution(3, 1, "valid"),
  "convolution, padded": convolution(3, 1, 1),
  "convolution in strides": convolution(3, 2, "same"),
  "convolution in strides that leave a rest": convolution(3, [2, 3], "valid"),
  "convolution of a wide window": convolution(5, 2, 2),
  "pointwise convolution": convolution(1, 1, "valid"),
  "pointwise convolution in strides": convolution(1, 2, 0),
  "fused convolution": fused("linear"),
  "fused convolution with a rectifier": fused("relu"),
  "transposed convolution": {
    operands: [float(2, 3, 3, 4), float(3, 3, 2, 4)],
    run: (x, filter) => tf.conv2dTranspose(x as Tensor4D, filter as Tensor4D, [2, 6, 6, 2], 2, "same"),
  },
  "largest of windows": { operands: [image], run: (x) => tf.maxPool(x as Tensor4D, 3, 2, 1) },
  "largest of equals": { operands: [image], run: (x) => tf.maxPool(tf.relu(x) as Tensor4D, 2, 1, "same") },
  "mean of windows": { operands: [image], run: (x) => tf.avgPool(x as Tensor4D, 2, 2, "valid") },
  "mean of overlapping windows": { operands: [image], run: (x) => tf.avgPool(x as Tensor4D, 3, 1, "valid") },
  "batch norm by given statistics": {
    operands: [image, float(3), float(3), float(3)],
    run: (x, mean, scale, offset) => tf.batchNorm(x, mean, positive(scale), offset, scale, 1e-3),
  },
  "batch norm by the batch's moments": {
    operands: [image, float(3), float(3)],
    run: (x, scale, offset) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      return tf.batchNorm(x, mean, variance, offset, scale, 1e-3);
    },
  },
  "bilinear resize": { operands: [square], run: (x) => tf.image.resizeBilinear(x as Tensor4D, [6, 7]) },
  "bilinear resize at corners": {
    operands: [square],
    run: (x) => tf.image.resizeBilinear(x as Tensor4D, [3, 5], true),
  },
  "nearest resize": { operands: [square], run: (x) => tf.image.resizeNearestNeighbor(x as Tensor4D, [8, 6]) },
  gather: { operands: [float(4, 3), int(5)], run: (x, places) => tf.gather(x, places) },
  "gather along the last axis": { operands: [float(2, 4, 3), int(5)], run: (x, places) => tf.gather(x, places, 2) },
  "gather in batches": { operands: [float(2, 3, 4), int(2, 5)], run: (x, places) => tf.gather(x, places, 1, 1) },
  "segment sum": {
    operands: [float(5, 2), int(5)],
    run: (x, segments) => tf.unsortedSegmentSum(x, segments as never, 3),
  },
  // TensorFlow.js takes back the inside only, not what was mirrored.
  "mirrored border": {
    operands: [float(3, 4)],
    run: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [2, 0],
        ],
        "reflect",
      ),
  },
  "space to batch": {
    operands: [float(2, 4, 6, 1)],
    run: (x) =>
      tf.spaceToBatchND(
        x,
        [2, 3],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  },
  remainder: { operands: [float(3, 4), float(4)], run: (a, b) => tf.mod(a, positive(b)) },
  angle: { operands: [float(3, 4), float(4)], run: (a, b) => tf.atan2(a, b) },
  power: { operands: [float(3, 4), float(4)], run: (a, b) => tf.pow(positive(a), b) },
  "leaky rectifier with slopes": { operands: [float(3, 4), float(4)], run: (x, slopes) => tf.prelu(x, slopes) },
  choice: {
    operands: [int(3, 4), float(3, 4), float(3, 4)],
    run: (which, a, b) => tf.where(tf.cast(which, "bool"), tf.mul(a, b), b),
  },
  elu: unary(tf.elu),
  selu: unary(tf.selu),
  "leaky rectifier": unary((x) => tf.leakyRelu(x, 0.1)),
  "rectifier up to six": unary((x) => tf.relu6(tf.mul(x, 5))),
  softplus: unary(tf.softplus),
  "log of softmax": unary((x) => tf.logSoftmax(x)),
  softmax: unary((x) => tf.softmax(x)),
  tangent: unary((x) => tf.tan(inside(x))),
  "inverse circular functions": unary((x) => tf.addN([tf.asin(inside(x)), tf.acos(inside(x)), tf.atan(x)])),
  "hyperbolic functions": unary((x) => tf.addN([tf.sinh(x), tf.cosh(x), tf.tanh(x)])),
  "inverse hyperbolic functions": unary((x) =>
    tf.addN([tf.asinh(x), tf.atanh(inside(x)), tf.acosh(tf.add(positive(x), 1))]),
  ),
  // Along another axis than the last, TensorFlow.js's gradient has its axes in the wrong order.
  "cumulative sum": unary((x) => tf.cumsum(x, 1, true, true)),
  product: unary((x) => tf.prod(x, 1)),
  "largest and least": unary((x) => tf.sub(tf.max(x, 1), tf.min(x, 0).sum())),
  clip: unary((x) => tf.clipByValue(x, -0.5, 0.5)),
  "huber loss": { operands: [float(3, 4), float(3, 4)], run: (a, b) => tf.losses.huberLoss(a, b) },
  "sigmoid cross entropy": {
    operands: [float(3, 4), float(3, 4)],
    run: (labels, logits) => tf.losses.sigmoidCrossEntropy(tf.sigmoid(labels), logits),
  },
  "softmax cross entropy": {
    operands: [float(3, 4), float(3, 4)],
    run: (labels, logits) => tf.losses.softmaxCrossEntropy(tf.softmax(labels), logits),
  },
  "linear layer, fused": {
    operands: [float(3, 4), float(4, 2), float(2)],
    run: (a, b, bias) => tf.fused.matMul({ a: a as Tensor2D, b: b as Tensor2D, bias, activation: "relu" }),
  },
};

it.each(Object.keys(cases))("differentiates like the reference: %s", async (name) => {
  const { operands, run } = cases[name]!;
  const inputs = Object.fromEntries(operands.map((spec, index) => [`x${index}`, spec]));
  const program = programOf(inputs, (tensors) => {
    const floats = Object.keys(inputs).filter((key) => inputs[key]?.dtype === "float32");
    const lossOf = (...values: Tensor[]) => {
      const given = { ...tensors, ...Object.fromEntries(floats.map((key, index) => [key, values[index]!])) };
      const result = run(...Object.keys(inputs).map((key) => given[key]!));
      // Every element counts differently, so that nothing cancels that should not.
      const shares = tf.reshape(tf.sin(tf.range(1, result.size + 1)), result.shape);
      return tf.sum(tf.mul(tf.square(tf.add(result, 0.5)), shares)) as never;
    };
    const { value, grads } = tf.valueAndGrads(lossOf)(floats.map((key) => tensors[key]!));
    return { value, ...Object.fromEntries(grads.map((gradient, index) => [`d${index}`, gradient])) };
  });
  expect(disagreement(await runBoth(program, drawInputs(inputs, randomFor(name))))).toBeLessThan(1e-5);
});
