import { InferenceSession } from "onnxruntime-node";
import { gpuError } from "./gpu-errors.js";

/**
 * @param name for error messages
 * @param deviceId which of several cards, as CUDA counts them
 * @throws ConsiliumError as `gpuError` says
 */
export async function createCudaSession(name: string, model: Uint8Array, deviceId = 0): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, {
      executionProviders: [{ name: "cuda", deviceId }],
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
    });
  } catch (cause) {
    throw gpuError(`program ${name} cannot run on CUDA`, cause);
  }
}
