import { ConsiliumError } from "@consilium/shared/errors.js";
import { InferenceSession } from "onnxruntime-node";
import { compileModel } from "./compiled-model.js";
import { CompiledSession } from "./compiled-session.js";
import type { Engine } from "./program.js";

export interface CompiledCpuOptions {
  /** Threads that share one operator's work; ONNX Runtime's default is one per core. */
  readonly threads?: number;
}

/** Traces a program once and runs it as one ONNX graph on ONNX Runtime's CPU provider. A run blocks its thread. */
export function compiledCpuEngine({ threads }: CompiledCpuOptions = {}): Engine {
  return {
    name: "onnx-cpu",
    async compile(program) {
      const { bytes, outputs } = compileModel(program, { products: "fused" });
      return new CompiledSession(program, outputs, await createSession(program.name, bytes, threads));
    },
  };
}

async function createSession(name: string, model: Uint8Array, threads: number | undefined): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, {
      executionProviders: ["cpu"],
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      enableCpuMemArena: true,
      // Errors only: warnings are about the runtime's own choices.
      logSeverityLevel: 3,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConsiliumError("internal", `ONNX Runtime refused program ${name}: ${reason}`, { cause });
  }
}
