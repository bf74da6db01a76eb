import { type CompiledModel, type ModelOutput, modelOf } from "../compiled-model.js";
import type { Graph } from "../graph/graph.js";
import { type OptimizeOptions, optimize } from "../passes/optimize.js";
import { rewrite, rewriteBodies } from "../passes/rewrite.js";
import { lowerForWebgpu } from "../passes/webgpu-operators.js";
import type { Program } from "../program.js";
import { traceProgram } from "../trace/trace-program.js";

/** A program as a model of operators for which the WebGPU provider has kernels. */
export function compileForWebgpu(program: Program, options: OptimizeOptions): CompiledModel {
  return modelOf(lowered(optimize(traceProgram(program), options)));
}

function lowered(graph: Graph): Graph {
  return rewrite(rewriteBodies(graph, lowered), lowerForWebgpu);
}

/** The outputs that may become the input of the same name in the next run. */
export function carriedOutputs({ inputs }: Program, outputs: readonly ModelOutput[]): ModelOutput[] {
  return outputs.filter(({ name, shape, dtype }) => {
    const input = inputs[name];
    return input !== undefined && input.dtype === dtype && input.shape.join() === shape.join();
  });
}
