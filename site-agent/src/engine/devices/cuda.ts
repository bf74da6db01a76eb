import { compileModel } from "../compiled-model.js";
import { CompiledSession } from "../compiled-session.js";
import type { OptimizeOptions } from "../passes/optimize.js";
import type { Engine } from "../program.js";
import { createCudaSession } from "./cuda-runtime.js";
import { openModel } from "./gpu-compile.js";

export interface CudaOptions {
  readonly precision?: "float32" | "mixed" | undefined;
  /** Folder for compiled programs; absent: nothing is kept. */
  readonly cacheDirectory?: string | undefined;
  /** Which of several cards, as CUDA counts them; absent: the first. */
  readonly deviceId?: number | undefined;
}

/**
 * Runs programs on ONNX Runtime's CUDA provider, once `probeCuda` finds it. A run blocks its thread.
 *
 * The binding hands every output to the host, so that held state travels with every run: `stepsPerCall` makes a program
 * that takes several steps in one.
 */
export function cudaEngine({ precision = "float32", cacheDirectory, deviceId }: CudaOptions = {}): Engine {
  const options: OptimizeOptions = { products: "fused", precision };
  return {
    name: "onnx-cuda",
    async compile(program) {
      const { outputs, session, report } = await openModel(
        {
          ...{ directory: cacheDirectory, program, options, variant: "cuda" },
          compile: () => compileModel(program, options),
        },
        ({ bytes }) => createCudaSession(program.name, bytes, deviceId),
      );
      return new CompiledSession(program, outputs, session, report);
    },
  };
}
