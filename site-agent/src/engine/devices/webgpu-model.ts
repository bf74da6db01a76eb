import { type CompiledModel, type ModelOutput, modelOf } from "../compiled-model.js";
import { type OptimizeOptions, optimize } from "../passes/optimize.js";
import { rewrite } from "../passes/rewrite.js";
import { lowerForWebgpu } from "../passes/webgpu-operators.js";
import { unrollRepeats } from "../passes/webgpu-unroll.js";
import type { Program } from "../program.js";
import { traceProgram } from "../trace/trace-program.js";

/** A program as a model of operators for which the WebGPU provider has kernels. */
export function compileForWebgpu(program: Program, options: OptimizeOptions): CompiledModel {
  const graph = optimize(unrollRepeats(traceProgram(program)), options);
  return modelOf(rewrite(graph, lowerForWebgpu));
}

/** The outputs that may become the input of the same name in the next run. */
export function carriedOutputs({ inputs }: Program, outputs: readonly ModelOutput[]): ModelOutput[] {
  return outputs.filter(({ name, shape, dtype }) => {
    const input = inputs[name];
    return input !== undefined && input.dtype === dtype && input.shape.join() === shape.join();
  });
}
