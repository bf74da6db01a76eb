import { isVit } from "@consilium/shared/config/model-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { architectureOf, mlpRatio, patchCount } from "@consilium/shared/params/architecture.js";
import { maskShape } from "../ssl/masking.js";
import type { DeviceName } from "./devices/device.js";

/** About what processor caches hold of one value: above it, every element-wise operator waits for memory. */
const cacheBytes = 8 * 1024 ** 2;

export interface MicroBatchQuestion {
  readonly config: Pick<RunConfig, "model" | "method" | "training">;
  /** Whether the method's loss is a mean over images. */
  readonly separable: boolean;
  readonly device: DeviceName;
}

/**
 * How many equal parts a step cuts its batch into: what the run asks for, or what suits the device. A processor takes as
 * few parts as keep the widest activation of one part in its cache; a GPU takes the batch whole.
 */
export function microBatchesFor({ config, separable, device }: MicroBatchQuestion): number {
  const { batchSize, microBatches } = config.training;
  if (microBatches !== undefined) return microBatches;
  if (!separable || device !== "cpu") return 1;
  const bytes = widestActivation(config) * Float32Array.BYTES_PER_ELEMENT;
  for (let parts = 1; parts < batchSize; parts++) {
    if (batchSize % parts === 0 && (batchSize / parts) * bytes <= cacheBytes) return parts;
  }
  return batchSize;
}

/** Elements per image of the largest hidden layer of any block; the views of a kind go through a block together. */
function widestActivation({ model, method }: Pick<RunConfig, "model" | "method">): number {
  if (!isVit(model)) return 0;
  const patches = patchCount(model);
  const hidden = mlpRatio * architectureOf(model).width;
  if (method.name === "mae") {
    const encoder = (1 + maskShape(patches, method.maskRatio).visible) * hidden;
    return Math.max(encoder, (1 + patches) * mlpRatio * method.decoderWidth);
  }
  if (!("localCrops" in method)) return (1 + patches) * hidden;
  const local = (1 + (method.localSize / model.patchSize) ** 2) * hidden * method.localCrops;
  return Math.max(2 * (1 + patches) * hidden, local);
}
