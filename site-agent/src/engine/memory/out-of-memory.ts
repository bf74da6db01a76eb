import { ConsiliumError } from "@consilium/shared/errors.js";
import { formatBytes } from "@consilium/shared/terminal/format.js";

export interface Shortage {
  readonly program: string;
  /** Bytes that a run takes at its fullest moment. */
  readonly needed: number;
  /** Bytes that there are. */
  readonly available: number;
  /** Largest batch size that fits; 0: none does. */
  readonly fits: number;
  /** Fewest equal parts of the batch that fit one after the other; absent: parts do not help. */
  readonly microBatches?: number;
  /** True where blocks run again in the backward pass already. */
  readonly recompute: boolean;
}

/** ConsiliumError "out-of-memory" that names the need, what there is and what would fit. */
export function outOfMemoryError(shortage: Shortage): ConsiliumError {
  const { program, needed, available } = shortage;
  const reason = `${program} needs ${formatBytes(needed)}, and ${formatBytes(available)} is available`;
  return new ConsiliumError("out-of-memory", reason, { remedy: remedyOf(shortage) });
}

function remedyOf({ fits, microBatches, recompute }: Shortage): string {
  const ways = [
    ...(fits > 0 ? [`set training.batchSize to ${fits} in the run file`] : []),
    ...(microBatches === undefined ? [] : [`set training.microBatches to ${microBatches}, with the same gradients`]),
    ...(recompute ? [] : ["set training.recompute: true, which takes a third more time and far less memory"]),
    ...(fits > 0 ? [] : ["choose a smaller model.architecture or model.imageSize"]),
    "give this process more memory",
  ];
  return ways.join("; or ");
}

const signs: readonly RegExp[] = [
  /bad[ _]alloc(ation)?/i,
  /out[ _-]?of[ _-]?(device |graphics |host |DEVICE_|HOST_)?memory/i,
  /(cannot|could not|failed to|unable to) allocate/i,
  /array buffer allocation failed/i,
  /available memory of \d+ is smaller than requested/i,
  /exceeds the (max(imum)? buffer size|supported maximum of \d+ bytes)/i,
  /CUDA failure 2\b|CU(BLAS|DNN)_STATUS_ALLOC_FAILED/,
  // A buffer of WebGPU that could not be made, and tensors in more pieces than a shader has buffers.
  /Invalid Buffer.* previous error|maxStorageBuffersPerShaderStage/i,
  // TensorFlow.
  /\bOOM\b|RESOURCE_EXHAUSTED/,
];

/** Whether an error, or what caused it, is a failure to get memory: of ONNX Runtime, WebGPU, CUDA, TensorFlow or JavaScript. */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return typeof error === "string" && signs.some((sign) => sign.test(error));
  if (error instanceof ConsiliumError && error.code === "out-of-memory") return true;
  return signs.some((sign) => sign.test(error.message)) || (error.cause !== undefined && isOutOfMemory(error.cause));
}
