import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { microBatchesFor } from "./micro-batches.js";

const configOf = (method: object, training: object) =>
  runConfigSchema.parse({
    name: "parts",
    modality: "radiograph",
    model: { architecture: "vit-tiny" },
    method,
    optimizer: { learningRate: 1e-3 },
    training,
    rounds: 1,
  });

describe("microBatchesFor", () => {
  it("takes what the run says on every device", () => {
    const config = configOf({ name: "mae" }, { batchSize: 16, microBatches: 2 });
    expect(microBatchesFor({ config, separable: true, device: "cpu" })).toBe(2);
    expect(microBatchesFor({ config, separable: true, device: "webgpu" })).toBe(2);
  });

  it("keeps a part's widest activation in a processor's cache", () => {
    // 197 tokens × 4 × 512 × 4 bytes are 1.5 MiB an image.
    const config = configOf({ name: "mae" }, { batchSize: 16 });
    expect(microBatchesFor({ config, separable: true, device: "cpu" })).toBe(4);
    // 50 tokens × 4 × 192 × 4 bytes are 0.15 MiB, the decoder's 197 × 4 × 64 × 4 a little more.
    const narrow = configOf({ name: "mae", decoderWidth: 64, decoderHeads: 4 }, { batchSize: 16 });
    expect(microBatchesFor({ config: narrow, separable: true, device: "cpu" })).toBe(1);
  });

  it("takes whole batches on a GPU, and of methods that compare images", () => {
    const config = configOf({ name: "mae" }, { batchSize: 64 });
    expect(microBatchesFor({ config, separable: true, device: "cuda" })).toBe(1);
    const contrastive = configOf({ name: "simclr" }, { batchSize: 64 });
    expect(microBatchesFor({ config: contrastive, separable: false, device: "cpu" })).toBe(1);
  });

  it("goes down to single images", () => {
    const config = configOf({ name: "mae", decoderWidth: 4096 }, { batchSize: 6 });
    expect(microBatchesFor({ config, separable: true, device: "cpu" })).toBe(6);
  });
});
