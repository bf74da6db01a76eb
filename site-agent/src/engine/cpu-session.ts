import { readFile, rm } from "node:fs/promises";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { InferenceSession } from "onnxruntime-node";
import { temporaryPathFor } from "./cache-file.js";

export interface CpuSessionOptions {
  /** For error messages. */
  readonly name: string;
  /** Threads that share one operator's work; ONNX Runtime's default is one per core. */
  readonly threads: number | undefined;
  /** "disabled" for models that ONNX Runtime has optimised before. "all" also chooses memory layouts for this processor. */
  readonly level: "disabled" | "extended" | "all";
  readonly optimizedModelFilePath?: string;
}

/** @throws ConsiliumError "internal" when ONNX Runtime refuses the model */
export async function createCpuSession(model: Uint8Array, options: CpuSessionOptions): Promise<InferenceSession> {
  const { name, threads, level, ...saving } = options;
  try {
    return await InferenceSession.create(model, {
      executionProviders: ["cpu"],
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      ...saving,
      interOpNumThreads: 1,
      graphOptimizationLevel: level,
      executionMode: "sequential",
      enableCpuMemArena: true,
      // A plan for all activations in one block costs a fifth more memory and saves no time: the arena reuses as well.
      enableMemPattern: false,
      // Errors only: warnings are about the runtime's own choices.
      logSeverityLevel: 3,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConsiliumError("internal", `ONNX Runtime refused program ${name}: ${reason}`, { cause });
  }
}

export interface OptimizedSession {
  readonly session: InferenceSession;
  /** The model after ONNX Runtime's optimisations; loading it without them takes a third of the time. */
  readonly bytes: Uint8Array;
}

/**
 * A session, and the model as ONNX Runtime optimised it for any processor of this kind.
 * @param near the runtime writes through a file, which is made beside this path and removed
 */
export async function optimizedSession(
  model: Uint8Array,
  near: string,
  options: Omit<CpuSessionOptions, "level">,
): Promise<OptimizedSession> {
  const path = temporaryPathFor(near);
  try {
    const saving = { ...options, level: "extended", optimizedModelFilePath: path } as const;
    const session = await createCpuSession(model, saving);
    return { session, bytes: await readFile(path) };
  } finally {
    await rm(path, { force: true });
  }
}
