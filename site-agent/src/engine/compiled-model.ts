import type { TensorSpec } from "../model/tensors.js";
import type { Graph } from "./graph/graph.js";
import { predictPeak } from "./memory/predict-peak.js";
import { modelOutputs } from "./onnx/lower-graph.js";
import { serializeModel } from "./onnx/serialize-model.js";
import { type OptimizeOptions, optimize } from "./passes/optimize.js";
import type { Program } from "./program.js";
import { traceProgram } from "./trace/trace-program.js";

export interface ModelOutput extends TensorSpec {
  /** The program's name for it. */
  readonly name: string;
  /** The model's: ONNX knows a name once, so state that comes and goes has another name when it goes. */
  readonly modelName: string;
}

/** A program traced, optimised and written as ONNX: all that a session needs. Plain data. */
export interface CompiledModel {
  readonly bytes: Uint8Array;
  readonly outputs: readonly ModelOutput[];
  /** Memory of one run at its fullest moment with its state on the host, as predicted. */
  readonly peakBytes: number;
  /** The runtime that loads the bytes wrote them after its own optimisations and need not repeat them. */
  readonly optimized?: true;
}

export function compileModel(program: Program, options: OptimizeOptions): CompiledModel {
  return modelOf(optimize(traceProgram(program), options));
}

/** @param options `sequence` as in `serializeModel` */
export function modelOf(graph: Graph, options: { readonly sequence?: boolean } = {}): CompiledModel {
  const { totalBytes: peakBytes } = predictPeak(graph);
  return { bytes: serializeModel(graph, { producer: "consilium", ...options }), outputs: outputsOf(graph), peakBytes };
}

export function outputsOf(graph: Graph): ModelOutput[] {
  const modelNames = modelOutputs(graph);
  return graph.outputs.map(({ name, value: { shape, type } }, index) => {
    return { name, modelName: modelNames[index]!.name, shape, dtype: type === "float32" ? "float32" : "int32" };
  });
}
