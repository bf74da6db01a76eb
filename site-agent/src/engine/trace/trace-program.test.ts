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

it("names the kernel and the program when a kernel is missing", () => {
  const needsMissing = program((x) =>
    tf.linalg.bandPart(tf.image.resizeBilinear(x.as3D(2, 2, 1), [4, 4]).as2D(4, 4), 1, 1),
  );
  expect(() => traceProgram(needsMissing)).toThrow("program test needs kernel ResizeBilinear, which cannot be traced");
  expect(() => traceProgram(needsMissing)).toThrow(expect.objectContaining({ code: "kernel-missing" }));
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
