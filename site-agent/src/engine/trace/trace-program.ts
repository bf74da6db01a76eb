import { ConsiliumError } from "@consilium/shared/errors.js";
import type { NamedTensors } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { withBackend } from "../active-backend.js";
import { cast } from "../graph/emit.js";
import type { ElementType, Graph, Shape, Value } from "../graph/graph.js";
import type { Program } from "../program.js";
import { KernelCall } from "./kernel-call.js";
import { TraceBackend } from "./trace-backend.js";
import { traceKernels } from "./trace-kernels.js";

const backendName = "trace";
const backend = new TraceBackend();

type TracedDtype = "float32" | "int32" | "bool";

interface TracedInfo {
  dataId: object;
  shape: number[];
  dtype: TracedDtype;
}

/**
 * Records a program, with the gradients and updates that it computes, as one graph.
 * @throws ConsiliumError "kernel-missing" when the program calls a kernel that has no traced form
 */
export function traceProgram(program: Program): Graph {
  registerOnce();
  return withBackend(backendName, () => {
    backend.start(program.name);
    try {
      return record(program);
    } finally {
      backend.stop();
    }
  });
}

function record(program: Program): Graph {
  const inputs = Object.entries(program.inputs).map(([name, { shape, dtype }]) => {
    return { name, value: backend.builder.input(shape, dtype) };
  });
  const tensors = Object.fromEntries(inputs.map(({ name, value }) => [name, tensorOf(seenByProgram(value))]));
  const outputs = Object.entries(runBuild(program, tensors)).map(([name, tensor]) => {
    const value = backend.valueFor(tensor.dataId);
    tensor.dispose();
    // Programs hand over float32 and int32 only.
    return { name, value: value.type === "bool" ? cast(backend.builder, value, "int32") : value };
  });
  return { name: program.name, inputs, outputs };
}

function runBuild(program: Program, tensors: NamedTensors): NamedTensors {
  try {
    return program.build(tensors);
  } catch (error) {
    const kernel = /[Kk]ernel '(\w+)'/.exec(error instanceof Error ? error.message : "")?.[1];
    if (kernel === undefined) throw error;
    throw new ConsiliumError(
      "kernel-missing",
      `program ${program.name} needs kernel ${kernel}, which cannot be traced`,
      {
        remedy: "write the program with other operations, or add the kernel under site-agent/src/engine/trace/kernels",
        cause: error,
      },
    );
  }
}

/** TensorFlow.js has no uint8: a program sees pixels as float32. */
function seenByProgram(value: Value): Value {
  return value.type === "uint8" ? cast(backend.builder, value, "float32") : value;
}

function tensorOf(value: Value): Tensor {
  return tf.engine().makeTensorFromTensorInfo(infoOf(value));
}

function infoOf(value: Value): TracedInfo {
  return { dataId: backend.hold(value), shape: [...value.shape], dtype: tensorDtype(value.type) };
}

function tensorDtype(type: ElementType): TracedDtype {
  if (type === "int64" || type === "uint8") {
    throw new ConsiliumError("internal", `a kernel returned ${type}, which TensorFlow.js does not have`);
  }
  return type;
}

let registered = false;

function registerOnce(): void {
  if (registered) return;
  registered = true;
  tf.registerBackend(backendName, () => backend);
  for (const [kernelName, lower] of Object.entries(traceKernels)) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) => {
        const call = new KernelCall(kernelName, backend.builder, { inputs: valuesOf(inputs), attributes: attrs ?? {} });
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
    if (info !== undefined && info !== null) values.set(name, backend.valueFor(dataIdOf(info)));
  }
  return values;
}

function dataIdOf(info: { dataId: object; shape: Shape }): object {
  return info.dataId;
}
