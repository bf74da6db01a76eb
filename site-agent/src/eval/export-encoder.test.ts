import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poolingOf } from "@consilium/shared/config/run-config.js";
import { ModelProto } from "@consilium/shared/onnx/gen/onnx.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { sinCosPositions } from "@consilium/shared/params/positions.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { randomFor } from "@consilium/shared/random.js";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { expectClose } from "../../../test/support/golden.js";
import { eagerEngine } from "../engine/eager-engine.js";
import { normalisedPixels } from "../model/pixel-scale.js";
import { extractFeatures } from "./encode.js";
import { exportEncoderOnnx, exportEncoderSafetensors } from "./export-encoder.js";

const model = { architecture: "vit-nano", imageSize: 8, patchSize: 4 } as const;
const simclr = { name: "simclr", temperature: 0.5, projectionDim: 8, pooling: "mean" } as const;
const mae = {
  name: "mae",
  maskRatio: 0.5,
  decoderWidth: 8,
  decoderBlocks: 1,
  decoderHeads: 2,
  normalizePixels: true,
} as const;
const requestOf = (method: typeof simclr | typeof mae) => {
  const config = { model, method, aggregation: { teacher: "average", batchStatistics: "local" } } as const;
  return { config, vector: initialVector(parameterLayout(config), 1), metadata: { run: "demo", round: "3" } };
};

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "export-"));
});
afterEach(() => rm(directory, { recursive: true }));

describe("exportEncoderSafetensors", () => {
  it.each([simclr, mae])("writes every tensor of timm's model and nothing else: $name", async (method) => {
    const path = join(directory, "encoder.safetensors");
    const request = requestOf(method);
    await exportEncoderSafetensors(path, request);
    const { tensors, metadata } = await readSafetensors(path);
    const names = parameterLayout({ model, method: simclr })
      .parameters.map(({ name }) => name)
      .filter((name) => !name.startsWith("head."));
    expect([...tensors.keys()]).toEqual(names);
    expect(tensors.get("pos_embed")?.shape).toEqual([1, 5, 96]);
    expect(metadata).toMatchObject({ run: "demo", round: "3", architecture: "vit-nano", method: method.name });
  });

  it("holds the trained values, and fixed positions where there are such", async () => {
    const path = join(directory, "encoder.safetensors");
    const request = requestOf(mae);
    await exportEncoderSafetensors(path, request);
    const { tensors } = await readSafetensors(path);
    const placed = parameterLayout(request.config).parameters.find(({ name }) => name === "blocks.2.attn.qkv.weight")!;
    const trained = request.vector.slice(placed.offset, placed.offset + placed.size);
    expect(tensors.get(placed.name)?.data).toEqual(trained);
    expect(tensors.get("pos_embed")?.data).toEqual(sinCosPositions(2, 96));
  });
});

describe("exportEncoderOnnx", () => {
  it("writes images to features with the weights inside", async () => {
    const path = join(directory, "encoder.onnx");
    await exportEncoderOnnx(path, { ...requestOf(mae), batchSize: 2 });
    const file = ModelProto.decode(await readFile(path));
    expect(file.graph?.input.map(({ name }) => name)).toEqual(["images"]);
    expect(file.graph?.output.map(({ name }) => name)).toEqual(["features"]);
    const kept = Object.fromEntries(file.metadataProps.map(({ key, value }) => [key, value]));
    expect(kept).toMatchObject({ run: "demo", imageSize: "8" });
  });

  it.each([simclr, mae])("computes in ONNX Runtime what the model computes: $name", async (method) => {
    const path = join(directory, "encoder.onnx");
    const request = requestOf(method);
    await exportEncoderOnnx(path, { ...request, batchSize: 2 });
    const images = [1, 2].map((seed) => {
      const random = randomFor("image", seed);
      return Uint8Array.from({ length: 8 * 8 * 3 }, () => random.integer(256));
    });
    const session = await InferenceSession.create(path);
    const pixels = normalisedPixels(Uint8Array.from(images.flatMap((image) => Array.from(image))));
    const { features } = await session.run({ images: new Tensor("float32", pixels, [2, 8, 8, 3]) });
    await session.release();
    const layout = parameterLayout(request.config);
    const engine = eagerEngine();
    const encoder = { ...model, pooling: poolingOf(method) };
    const expected = await extractFeatures({
      engine,
      model: encoder,
      layout,
      vector: request.vector,
      images,
      batchSize: 2,
    });
    expectClose((await features!.getData()) as Float32Array, expected.values, 1e-5);
  });
});
