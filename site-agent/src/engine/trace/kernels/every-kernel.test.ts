import { randomFor } from "@consilium/shared/random.js";
import { expect, it } from "vitest";
import type { HostTensors, NamedTensors, TensorSpecs } from "../../../model/tensors.js";
import { type NamedTensorMap, type Tensor, tf } from "../../../model/tf.js";
import { programOf, relativeDifference, runBoth } from "../../testing/agreement.js";
import { traceKernels } from "../trace-kernels.js";
import { type CallGenerators, Draw, type DrawnCall, type Operand } from "./testing/draw.js";
import { elementwiseCalls } from "./testing/elementwise-calls.js";
import { gatheringCalls } from "./testing/gathering-calls.js";
import { imageCalls } from "./testing/image-calls.js";
import { reductionCalls } from "./testing/reduction-calls.js";
import { shapeCalls } from "./testing/shape-calls.js";

const generators: CallGenerators = {
  ...elementwiseCalls,
  ...gatheringCalls,
  ...imageCalls,
  ...reductionCalls,
  ...shapeCalls,
};
const callsPerKernel = 40;
/** Relative to the largest element of an output. */
const tolerance = 1e-5;

it("has a generator of calls for every kernel", () => {
  expect(Object.keys(generators).sort()).toEqual(Object.keys(traceKernels).sort());
});

it("knows kernels under the names that TensorFlow.js gives them", () => {
  const known = new Set(tf.getKernelsForBackend("cpu").map(({ kernelName }) => kernelName));
  expect(Object.keys(traceKernels).filter((name) => !known.has(name))).toEqual([]);
});

it.each(Object.keys(generators))("agrees with the reference on any call of %s", async (kernel) => {
  const draw = new Draw(randomFor("every kernel", kernel));
  const calls = Array.from({ length: callsPerKernel }, () => generators[kernel]!(draw));
  const program = programOf(specsOf(calls), (tensors) => outputsOf(kernel, calls, tensors));
  const { eager, compiled } = await runBoth(program, valuesOf(calls));
  expect(Object.keys(compiled)).toEqual(Object.keys(eager));
  for (const [name, expected] of Object.entries(eager)) {
    const actual = compiled[name]!;
    const call = JSON.stringify(calls[Number.parseInt(name, 10)], readable);
    expect(relativeDifference(expected, actual), `output ${name} of ${kernel} ${call}`).toBeLessThan(tolerance);
    expect(actual.data.constructor.name, `type of ${kernel} ${call}`).toBe(expected.data.constructor.name);
  }
});

function readable(_key: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) ? `${value.byteLength / 4} numbers` : value;
}

function operandsOf(calls: readonly DrawnCall[]): [string, Operand][] {
  return calls.flatMap(({ inputs }, index) =>
    Object.entries(inputs).map(([name, operand]): [string, Operand] => [`${index} ${name}`, operand]),
  );
}

/** Empty operands do not travel. */
const isEmpty = ({ shape }: Operand): boolean => shape.includes(0);

function specsOf(calls: readonly DrawnCall[]): TensorSpecs {
  const operands = operandsOf(calls).filter(([, operand]) => !isEmpty(operand));
  return Object.fromEntries(
    operands.map(([name, { shape, dtype }]) => [name, { shape, dtype: dtype === "float32" ? dtype : "int32" }]),
  );
}

function valuesOf(calls: readonly DrawnCall[]): HostTensors {
  return Object.fromEntries(operandsOf(calls).filter(([, operand]) => !isEmpty(operand)));
}

function outputsOf(kernel: string, calls: readonly DrawnCall[], tensors: NamedTensors): NamedTensors {
  const results = calls.flatMap(({ inputs, attributes = {} }, index) => {
    const operands = Object.entries(inputs).map(([name, operand]): [string, Tensor] => {
      const tensor = isEmpty(operand) ? tf.zeros([...operand.shape]) : tensors[`${index} ${name}`]!;
      return [name, operand.dtype === "bool" ? tf.cast(tensor, "bool") : tensor];
    });
    const result = runKernel(kernel, operands, attributes);
    return result.map((tensor, place): [string, Tensor] => [`${index} ${place}`, tensor]);
  });
  return Object.fromEntries(results);
}

function runKernel(kernel: string, operands: [string, Tensor][], attributes: Record<string, unknown>): Tensor[] {
  const listed = operands.length > 0 && operands.every(([name]) => /^\d+$/.test(name));
  const inputs = listed ? operands.map(([, tensor]) => tensor) : Object.fromEntries(operands);
  // Kernels of lists take arrays where the types say maps.
  const result = tf.engine().runKernel(kernel, inputs as NamedTensorMap, attributes as never) as Tensor | Tensor[];
  return Array.isArray(result) ? result : [result];
}
