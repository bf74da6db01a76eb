import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Tensor, tf } from "../../model/tf.js";
import type { GraphBuilder } from "../graph/builder.js";
import type { ElementType, Value } from "../graph/graph.js";
import { TraceBackend } from "./trace-backend.js";

/** The one recording backend, and the two views of what it holds: TensorFlow.js tensors and graph values. */

export const traceBackendName = "trace";
export const traceBackend = new TraceBackend();

type TracedDtype = "float32" | "int32" | "bool";

export interface TracedInfo {
  dataId: object;
  shape: number[];
  dtype: TracedDtype;
}

/** Whether TensorFlow.js operations are being recorded rather than computed. */
export function isTracing(): boolean {
  return tf.getBackend() === traceBackendName;
}

export function traceBuilder(): GraphBuilder {
  return traceBackend.builder;
}

export function infoOf(value: Value): TracedInfo {
  return { dataId: traceBackend.hold(value), shape: [...value.shape], dtype: tensorDtype(value.type) };
}

export function tensorOfValue(value: Value): Tensor {
  return tf.engine().makeTensorFromTensorInfo(infoOf(value));
}

export function valueOfTensor(tensor: Tensor): Value {
  return traceBackend.valueFor(tensor.dataId);
}

function tensorDtype(type: ElementType): TracedDtype {
  if (type === "float32" || type === "int32" || type === "bool") return type;
  throw new ConsiliumError("internal", `a kernel returned ${type}, which TensorFlow.js does not have`);
}
