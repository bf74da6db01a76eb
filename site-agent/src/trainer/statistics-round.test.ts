import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { put, putPatterns } from "../data/test-images.js";
import { type CheckedJob, type TrainJob, trainJobSchema } from "./protocol.js";
import { RoundTrainer } from "./train-round.js";

let root: string;
let images: string;

const trainer = new RoundTrainer({
  openEngine: () => Promise.reject(new Error("a run of clusters opens no engine")),
  openViewMaker: () => {
    throw new Error("a run of clusters makes no views");
  },
  now: () => 0,
  entropy: systemEntropy,
});

function job(over: Partial<TrainJob> = {}): CheckedJob {
  return trainJobSchema.parse({
    ...{ runId: "run-1", round: 1, firstStep: 0, siteId: "site-a", drawSeed: 1, minCell: 2 },
    config: { name: "c", modality: "dermatology", method: { name: "clusters", clusters: 3, minImages: 1 }, rounds: 4 },
    ...{ checkpointPath: join(root, "round-0.safetensors"), stateDirectory: join(root, "state") },
    data: { path: images },
    ...over,
  });
}

const layout = () => checkpointLayout(job().config);
const directory = () => join(root, "state", "run-1");

async function putCheckpoint(name: string, vector: Float32Array, metadata: Record<string, string>): Promise<string> {
  const tensors = layout().parameters.map(({ name: tensor, shape, offset, size }) => {
    return { name: tensor, shape, data: vector.subarray(offset, offset + size) };
  });
  const path = join(root, name);
  await writeSafetensors(path, tensors, metadata);
  return path;
}

async function deltaOf(path: string): Promise<Float32Array> {
  return new Float32Array(Uint8Array.from(await readFile(path)).buffer);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "statistics-round-"));
  images = join(root, "images");
  await putPatterns(images, 12);
  await put(images, "broken.jpg", "not an image");
  await putCheckpoint("round-0.safetensors", initialVector(layout(), 1), {});
});
afterAll(() => rm(root, { recursive: true }));

describe("a round of a run of clusters", () => {
  it("sends moments first, then cells, with no engine and no views", async () => {
    const first = await trainer.train(job());
    expect(first).toMatchObject({ sampleCount: 12, steps: 1, meanLoss: 1, figures: {} });
    expect(Object.values(first.skipped)).toEqual([1]);
    const moments = await deltaOf(first.deltaPath);
    const [sums, products, centroids] = layout().parameters;
    expect(moments.length).toBe(layout().dimension);
    expect(moments.subarray(0, products!.offset).some((value) => value > 0)).toBe(true);
    expect(moments.subarray(centroids!.offset).every((value) => value === 0)).toBe(true);

    const checkpointPath = await putCheckpoint("round-1.safetensors", moments, { weight: "12" });
    const second = await trainer.train(job({ round: 2, firstStep: 1, checkpointPath }));
    const cells = await deltaOf(second.deltaPath);
    expect(cells.subarray(0, sums!.size + products!.size).every((value) => value === 0)).toBe(true);
    const counts = [...cells.subarray(-3)].map((share) => Math.round(12 * share));
    expect(counts.every((count) => count === 0 || count >= 2)).toBe(true);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(9);
    expect(second.meanLoss).toBeGreaterThan(0);
    expect(await readdir(directory())).toEqual(["delta-2.f32", "statistics.bin"]);
  });

  it("gives the same again, and reads images only once", async () => {
    const first = await trainer.train(job());
    const cache = join(directory(), "statistics.bin");
    const { mtimeMs, mode, size } = await stat(cache);
    expect([mode & 0o077, size]).toEqual([0, 12 * 160]);
    expect((await trainer.train(job())).deltaDigest).toBe(first.deltaDigest);
    expect((await stat(cache)).mtimeMs).toBe(mtimeMs);
  });

  it("does without a cache that was cut, and finds images that are new", async () => {
    const cache = join(directory(), "statistics.bin");
    const before = await trainer.train(job());
    await writeFile(cache, (await readFile(cache)).subarray(0, 500));
    expect((await trainer.train(job())).deltaDigest).toBe(before.deltaDigest);
    await putPatterns(images, 14);
    expect((await trainer.train(job())).sampleCount).toBe(14);
    expect((await stat(cache)).size).toBe(14 * 160);
  });

  it("holds no name of an image in what it keeps", async () => {
    await trainer.train(job());
    const [name] = await readdir(images);
    expect((await readFile(join(directory(), "statistics.bin"))).includes(name!)).toBe(false);
  });

  it("refuses where the policy lets no statistics travel, and where images are too few", async () => {
    const { minCell: _minCell, ...silent } = job();
    await expect(trainer.train(silent)).rejects.toThrow(expect.objectContaining({ code: "config-invalid" }));
    await expect(trainer.train(job({ minCell: 100 }))).rejects.toThrow(
      expect.objectContaining({ code: "not-enough-data" }),
    );
  });

  it("ends when it is told to", async () => {
    const stop = AbortSignal.abort();
    const stateDirectory = join(root, "other-state");
    await expect(trainer.train(job({ stateDirectory }), { signal: stop })).rejects.toMatchObject({
      name: "AbortedError",
    });
  });
});
