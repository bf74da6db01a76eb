import { expect, it } from "vitest";
import { tf } from "../../model/tf.js";
import { operationsInOrder } from "../graph/order.js";
import { programOf } from "../testing/agreement.js";
import { traceProgram } from "./trace-program.js";

const spec = { shape: [2, 2], dtype: "float32" } as const;
const program = (build: (x: tf.Tensor) => tf.Tensor) =>
  programOf({ x: spec }, (inputs) => ({ y: build(inputs["x"]!) }));

it("records operations in the order in which they were called, and only what is needed", () => {
  const graph = traceProgram(
    program((x) => {
      tf.exp(x);
      return tf.log(tf.abs(x));
    }),
  );
  expect(operationsInOrder(graph).map(({ op }) => op)).toEqual(["Input", "Abs", "Log"]);
});

it("names the kernel, the program and the operations when a kernel is missing", () => {
  const volume = (x: tf.Tensor) => tf.reshape(x, [1, 1, 2, 2, 1]) as tf.Tensor5D;
  const needsMissing = program((x) => tf.conv3d(volume(x), tf.ones([1, 1, 1, 1, 1]), 1, "valid"));
  const message = "program test needs kernel Conv3D, asked for by tf.conv3d, which cannot be traced";
  expect(() => traceProgram(needsMissing)).toThrow(message);
  expect(() => traceProgram(needsMissing)).toThrow(expect.objectContaining({ code: "kernel-missing" }));
});

it("says when a gradient or another operation asked for a missing kernel", () => {
  const dilate = (x: tf.Tensor) =>
    tf.dilation2d(tf.reshape(x, [1, 2, 2, 1]) as tf.Tensor4D, tf.ones([1, 1, 1]), 1, "valid");
  expect(() => traceProgram(program(dilate))).toThrow("kernel Dilation2D, asked for by tf.dilation2d,");
  const spectrum = program((x) => tf.abs(tf.spectral.rfft(x)));
  expect(() => traceProgram(spectrum)).toThrow(/kernel \w+, asked for by tf\.\w+ in tf\.\w+/);
  const missingInGradient = program((x) =>
    tf.grad(
      tf.customGrad((y) => ({
        value: tf.relu(y as tf.Tensor),
        gradFunc: (dy: tf.Tensor) => tf.localResponseNormalization(tf.reshape(dy, [1, 2, 2, 1]) as tf.Tensor4D),
      })),
    )(x),
  );
  expect(() => traceProgram(missingInGradient)).toThrow(
    "kernel LRN, asked for by tf.localResponseNormalization in a gradient,",
  );
});

it("puts the former backend back, also after an error", () => {
  void tf.setBackend("cpu");
  traceProgram(program((x) => x.neg()));
  expect(tf.getBackend()).toBe("cpu");
  expect(() =>
    traceProgram(
      program(() => {
        throw new Error("no");
      }),
    ),
  ).toThrow("no");
  expect(tf.getBackend()).toBe("cpu");
});

it("refuses programs that read values or bring tensors along", () => {
  const outside = tf.scalar(1);
  expect(() => traceProgram(program((x) => tf.scalar(x.dataSync()[0]!)))).toThrow("reads a tensor's values");
  expect(() => traceProgram(program((x) => tf.add(x, outside)))).toThrow("made outside its build");
});

it("refuses to trace inside a trace, and can trace again afterwards", () => {
  const nested = program((x) => {
    traceProgram(program((y) => y));
    return x;
  });
  expect(() => traceProgram(nested)).toThrow("is traced inside program test");
  expect(traceProgram(program((x) => x)).outputs).toHaveLength(1);
});

it("keeps constants of equal elements as one number", () => {
  const graph = traceProgram(program((x) => tf.add(x, tf.ones([1000, 2, 2]))));
  const constant = operationsInOrder(graph).find(({ op }) => op === "Constant");
  expect(constant?.constant).toEqual(Float32Array.of(1));
});

it("leaves no tensors behind", () => {
  tf.backend();
  const { numTensors } = tf.memory();
  traceProgram(program((x) => tf.grad((y: tf.Tensor) => tf.sum(tf.square(y)))(x)));
  expect(tf.memory().numTensors).toBe(numTensors);
});
