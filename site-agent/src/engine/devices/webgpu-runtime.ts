import { InferenceSession, type Tensor } from "onnxruntime-node";
import type { CompiledModel } from "../compiled-model.js";
import { gpuError } from "./gpu-errors.js";

/** A model on the WebGPU provider. */
export interface WebgpuSession {
  /** @returns the outputs by their names in the model */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  release(): Promise<void>;
}

/**
 * @param name for error messages
 * @param staying outputs, by their names in the model, that stay in buffers of the device
 * @throws ConsiliumError "kernel-missing" when a node would run on the processor, else as `gpuError` says
 */
export async function createWebgpuSession(
  name: string,
  { bytes }: Pick<CompiledModel, "bytes">,
  staying: readonly string[] = [],
): Promise<WebgpuSession> {
  const session = await attempt(`program ${name} cannot run on WebGPU`, () =>
    InferenceSession.create(bytes, {
      // "basic" turns a buffer that could not be made into an error; without validation it would compute nonsense.
      executionProviders: [{ name: "webgpu", validationMode: "basic" }],
      preferredOutputLocation: Object.fromEntries(staying.map((output) => [output, "gpu-buffer"])),
      graphOptimizationLevel: "all",
      // A node that silently runs on the processor copies its operands to and fro: better an error.
      extra: { session: { disable_cpu_ep_fallback: "1" } },
      // What is thrown says the same as what would be printed.
      logSeverityLevel: 4,
    }),
  );
  return {
    run: (feeds) => attempt(`program ${name} failed on WebGPU`, () => session.run(feeds)),
    release: () => session.release(),
  };
}

async function attempt<T>(doing: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw gpuError(doing, cause);
  }
}
