import type { HostTensor, HostTensors, NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { withBackend } from "./active-backend.js";
import { checkTensors, dtypeOf } from "./check-tensors.js";
import { HostHeldState } from "./host-held-state.js";
import type { CompiledProgram, Engine, Program } from "./program.js";

/** Runs programs op by op on TensorFlow.js's pure JavaScript backend: slow, and the reference for every other engine. */
export function eagerEngine(): Engine {
  return { name: "eager", compile: async (program) => eagerProgram(program) };
}

function eagerProgram(program: Program): CompiledProgram {
  const compiled: CompiledProgram = {
    hold: async (state) => new HostHeldState(compiled, state),
    async run(inputs, into) {
      checkTensors(program.name, program.inputs, inputs);
      const outputs = withBackend("cpu", () => readOutputs(program.build(toTensors(program, inputs))));
      for (const [name, { data }] of Object.entries(outputs)) into?.[name]?.data.set(data);
      return into === undefined ? outputs : { ...outputs, ...into };
    },
    release: async () => {},
  };
  return compiled;
}

function toTensors(program: Program, inputs: HostTensors): NamedTensors {
  return Object.fromEntries(
    Object.keys(program.inputs).map((name) => {
      const tensor = inputs[name]!;
      return [name, toTensor(tensor)];
    }),
  );
}

/** Pixels arrive as the float32 numbers that a program works with. */
function toTensor(tensor: HostTensor): Tensor {
  const dtype = dtypeOf(tensor);
  return tf.tensor(tensor.data, [...tensor.shape], dtype === "uint8" ? "float32" : dtype);
}

function readOutputs(outputs: NamedTensors): HostTensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => {
      const data = valuesOf(tensor);
      const { shape } = tensor;
      // Programs may hand over tensors that they kept alive through a gradient.
      tensor.dispose();
      return [name, { shape, data }];
    }),
  );
}

/** A copy: the backend may hold the caller's own array. */
function valuesOf(tensor: Tensor): Float32Array | Int32Array {
  const values = tensor.dataSync();
  return tensor.dtype === "float32" ? Float32Array.from(values) : Int32Array.from(values);
}
