import { ConsiliumError } from "@consilium/shared/errors.js";
import { isOutOfMemory } from "../memory/out-of-memory.js";

const deviceLost = /device (was |is |has been )?lost|DEVICE_LOST|CUDA failure (700|719)\b|unspecified launch failure/i;
const kernelMissing = /fallback to CPU EP has been explicitly disabled/;

/**
 * What ONNX Runtime threw, as an error that says what can be done.
 * @param doing "program simclr step, batch 4 failed on WebGPU"
 */
export function gpuError(doing: string, cause: unknown): ConsiliumError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (kernelMissing.test(reason)) {
    return new ConsiliumError("kernel-missing", `${doing}: it needs an operator that the device has no kernel for`, {
      remedy: "set trainer.device to cpu, or write the operator in terms of others in site-agent/src/engine/passes",
      cause,
    });
  }
  if (isOutOfMemory(cause)) {
    return new ConsiliumError("out-of-memory", `${doing}: the device has not enough memory (${reason})`, {
      remedy:
        "ask for a run with a smaller batch, end other programs that use the device, or set trainer.device to cpu",
      cause,
    });
  }
  if (deviceLost.test(reason)) {
    return new ConsiliumError("internal", `${doing}: the device was lost (${reason})`, {
      remedy:
        "the trainer has to start again to find the device; if it happens again, look for driver errors in the system's log",
      cause,
    });
  }
  return new ConsiliumError("internal", `${doing}: ${reason}`, { cause });
}
