import { initialVector } from "@consilium/shared/params/initialize.js";
import { type ParameterSpec, placeParameters } from "@consilium/shared/params/layout.js";
import { type ResnetName, resnetParameters, resnetStatistics } from "@consilium/shared/params/resnet.js";
import { randomFor } from "@consilium/shared/random.js";
import { expect, it } from "vitest";
import { resnet } from "../../model/resnet.js";
import type { HostTensor, HostTensors, NamedTensors } from "../../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../../model/tf.js";
import { intsAttribute } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { optimize } from "../passes/optimize.js";
import type { Program } from "../program.js";
import { drawInputs, programOf, relativeDifference, runBoth } from "../testing/agreement.js";
import { useFastFilterGradient } from "../testing/filter-gradient.js";
import { traceProgram } from "./trace-program.js";

interface Subject {
  readonly architecture: ResnetName;
  readonly batch: number;
  readonly size: number;
}

const namesOf = (specs: readonly ParameterSpec[]) => specs.map(({ name }) => name);

/** Loss, gradients and statistics of one batch: the mean square of features against a fixed target. */
function stepOf({ architecture, batch, size }: Subject): Program {
  const trained = resnetParameters(architecture);
  const specs = [...trained, ...resnetStatistics(architecture)].map(({ name, shape }) => [name, { shape }] as const);
  const images = ["images", { shape: [batch, size, size, 3] }] as const;
  const inputs = Object.fromEntries(
    [...specs, images].map(([name, { shape }]) => [name, { shape, dtype: "float32" } as const]),
  );
  return programOf(inputs, (tensors) => {
    const names = namesOf(trained);
    let observed: NamedTensors = {};
    const lossOf = (...values: Tensor[]): Scalar => {
      const parameters = Object.fromEntries(names.map((name, index) => [name, values[index]!]));
      const run = resnet({
        ...{ architecture, parameters, statistics: tensors },
        ...{ images: tensors["images"]!, mode: "training" },
      });
      observed = Object.fromEntries(Object.entries(run.statistics).map(([name, tensor]) => [name, tf.keep(tensor)]));
      const target = tf.sin(tf.range(0, run.features.shape[1]));
      return tf.mean(tf.square(tf.sub(run.features, target)));
    };
    const { value, grads } = tf.valueAndGrads(lossOf)(names.map((name) => tensors[name]!));
    return { loss: value, ...observed, ...Object.fromEntries(names.map((name, at) => [`d ${name}`, grads[at]!])) };
  });
}

/**
 * @param bias of the norms, with another sign for every fourth channel: two deviations keep the rectifiers away from
 *   zero, where the least rounding changes a deep network's gradients by tenths
 */
function valuesOf({ architecture, batch, size }: Subject, bias: number): HostTensors {
  const layout = placeParameters([...resnetParameters(architecture), ...resnetStatistics(architecture)]);
  const vector = initialVector(layout, 1);
  const started = layout.parameters.map(({ name, shape, offset, size: count }): [string, HostTensor] => {
    const data = vector.slice(offset, offset + count);
    return [name, { shape, data: name.endsWith(".bias") ? data.map((_, at) => (at % 4 === 0 ? -bias : bias)) : data }];
  });
  const images = { images: { shape: [batch, size, size, 3], dtype: "float32" } } as const;
  return { ...Object.fromEntries(started), ...drawInputs(images, randomFor("resnet")) };
}

it("takes TensorFlow.js's gradient of filters from a faster sum of the same", () => {
  const x = tf.randomNormal([2, 7, 6, 3], 0, 1, "float32", 1) as tf.Tensor4D;
  const filter = tf.randomNormal([3, 3, 3, 4], 0, 1, "float32", 2) as tf.Tensor4D;
  const gradient = () => tf.grad((w: Tensor) => tf.sum(tf.square(tf.conv2d(x, w as tf.Tensor4D, 2, 1))))(filter);
  const slow = gradient();
  useFastFilterGradient();
  expect(tf.max(tf.abs(tf.sub(slow, gradient()))).dataSync()[0]).toBeLessThan(1e-5);
});

it.each([
  [{ architecture: "resnet18", batch: 2, size: 64 }, 0],
  [{ architecture: "resnet50", batch: 2, size: 64 }, 2],
] as const)(
  "compiles %o, forward and backward, to what TensorFlow.js computes",
  async (subject, bias) => {
    useFastFilterGradient();
    const { eager, compiled } = await runBoth(stepOf(subject), valuesOf(subject, bias));
    expect(relativeDifference(eager["loss"]!, compiled["loss"]!)).toBeLessThan(1e-5);
    const worst = Object.keys(eager).map((name) => [name, relativeDifference(eager[name]!, compiled[name]!)] as const);
    expect(worst.filter(([, difference]) => !(difference < 1e-4))).toEqual([]);
  },
  120_000,
);

it("turns images round once in a whole step, on their way in", () => {
  const graph = optimize(traceProgram(stepOf({ architecture: "resnet50", batch: 2, size: 64 })), { products: "fused" });
  const turns = operationsInOrder(graph).filter((operation) => {
    const order = intsAttribute(operation, "perm").join();
    return (
      operation.op === "Transpose" &&
      (order === "0,3,1,2" || order === "0,2,3,1") &&
      operation.inputs[0]!.shape[0] === 2
    );
  });
  expect(turns.map(({ inputs }) => inputs[0]!.operation.op)).toEqual(["Input"]);
});
