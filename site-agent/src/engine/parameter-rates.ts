import { isVit } from "@consilium/shared/config/model-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";

const embeddings = /^(?:cls_token|pos_embed|mask_token|register_tokens|patch_embed\.)/;
const blockIndex = /^blocks\.(\d+)\./;

/**
 * Layerwise learning rates as DINOv2 has them (Oquab et al. 2023): decay^(depth + 1 − layer), where the embeddings are
 * layer 0, block i is layer i + 1, and the final norm and all heads are layer depth + 1; the patch embedding has a factor
 * of its own besides.
 * @returns the factor on a parameter's learning rate; undefined where all are one
 */
export function parameterRates({
  model,
  optimizer,
}: Pick<RunConfig, "model" | "optimizer">): ((name: string) => number) | undefined {
  const { layerDecay, patchEmbeddingRate } = optimizer;
  if (!isVit(model) || (layerDecay === 1 && patchEmbeddingRate === 1)) return undefined;
  const last = architectureOf(model).depth + 1;
  return (name) => {
    const block = blockIndex.exec(name)?.[1];
    const layer = block === undefined ? (embeddings.test(name) ? 0 : last) : Number(block) + 1;
    return layerDecay ** (last - layer) * (name.startsWith("patch_embed.") ? patchEmbeddingRate : 1);
  };
}
