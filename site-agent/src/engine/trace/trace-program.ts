import { tf } from "../../model/tf.js";
import { withBackend } from "../active-backend.js";
import { cast } from "../graph/emit.js";
import type { Graph, Shape, Value } from "../graph/graph.js";
import type { Program } from "../program.js";
import { KernelCall } from "./kernel-call.js";
import { namingMissingKernel } from "./missing-kernel.js";
import { traceKernels } from "./trace-kernels.js";
import { infoOf, tensorOfValue, traceBackend, traceBackendName, valueOfTensor } from "./tracing.js";

/**
 * Records a program, with the gradients and updates that it computes, as one graph.
 * @throws ConsiliumError "kernel-missing" when the program calls a kernel that has no traced form
 */
export function traceProgram(program: Program): Graph {
  registerOnce();
  return withBackend(traceBackendName, () => {
    traceBackend.start(program.name);
    try {
      return record(program);
    } finally {
      traceBackend.stop();
    }
  });
}

function record(program: Program): Graph {
  const inputs = Object.entries(program.inputs).map(([name, { shape, dtype }]) => {
    return { name, value: traceBackend.builder.input(shape, dtype) };
  });
  const tensors = Object.fromEntries(inputs.map(({ name, value }) => [name, tensorOfValue(seenByProgram(value))]));
  const built = namingMissingKernel(program.name, () => program.build(tensors));
  const outputs = Object.entries(built).map(([name, tensor]) => {
    const value = valueOfTensor(tensor);
    tensor.dispose();
    // Programs hand over float32 and int32 only.
    return { name, value: value.type === "bool" ? cast(traceBackend.builder, value, "int32") : value };
  });
  return { name: program.name, inputs, outputs };
}

/** TensorFlow.js has no uint8: a program sees pixels as float32. */
function seenByProgram(value: Value): Value {
  return value.type === "uint8" ? cast(traceBackend.builder, value, "float32") : value;
}

let registered = false;

function registerOnce(): void {
  if (registered) return;
  registered = true;
  tf.registerBackend(traceBackendName, () => traceBackend);
  for (const [kernelName, lower] of Object.entries(traceKernels)) {
    tf.registerKernel({
      kernelName,
      backendName: traceBackendName,
      kernelFunc: ({ inputs, attrs }) => {
        const call = new KernelCall(kernelName, traceBackend.builder, {
          inputs: valuesOf(inputs),
          attributes: attrs ?? {},
        });
        const outputs = lower(call);
        return isValues(outputs) ? outputs.map(infoOf) : infoOf(outputs);
      },
    });
  }
}

function isValues(outputs: Value | readonly Value[]): outputs is readonly Value[] {
  return Array.isArray(outputs);
}

function valuesOf(inputs: object): ReadonlyMap<string, Value> {
  const values = new Map<string, Value>();
  for (const [name, info] of Object.entries(inputs)) {
    if (info !== undefined && info !== null) values.set(name, traceBackend.valueFor(dataIdOf(info)));
  }
  return values;
}

function dataIdOf(info: { dataId: object; shape: Shape }): object {
  return info.dataId;
}
