import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAugmenter } from "../data/augment/augment.js";
import { openSource } from "../data/open-source.js";
import { putPatterns } from "../data/test-images.js";
import { LocalViewMaker } from "../data/view-maker.js";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import type { TrainerParts } from "./prepared-run.js";
import { type CheckedJob, type TrainedRound, type TrainJob, trainJobSchema } from "./protocol.js";
import { privateRun } from "./test-private-run.js";
import { RoundTrainer } from "./train-round.js";

let root: string;
let checkpointPath: string;
let states = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "private-round-"));
  for (const folder of ["named", "nameless"]) await putPatterns(join(root, folder), 12);
  const names = Array.from({ length: 12 }, (_, i) => `${String(i).padStart(3, "0")}.png`);
  const rows = names.map((name, i) => `${name},p${Math.floor(i / 2)}`);
  await writeFile(join(root, "named", "labels.csv"), `file,group\n${rows.join("\n")}\n`);
  checkpointPath = join(root, "checkpoint.safetensors");
  const layout = parameterLayout(job().config);
  const vector = initialVector(layout, 1);
  const tensors = layout.parameters.map(({ name, shape, offset, size }) => {
    return { name, shape, data: vector.subarray(offset, offset + size) };
  });
  await writeSafetensors(checkpointPath, tensors);
});
afterAll(() => rm(root, { recursive: true }));

function job(over: Partial<TrainJob> = {}): CheckedJob {
  return trainJobSchema.parse({
    ...{
      runId: "run-1",
      round: 0,
      config: privateRun,
      checkpointPath: checkpointPath ?? "unset",
      firstStep: 0,
      threads: 1,
    },
    ...{
      stateDirectory: join(root, `state-${states++}`),
      data: { path: join(root, "named") },
      siteId: "site-a",
      drawSeed: 1,
    },
    privacy: { samplingRate: 4 / 6, noiseMultiplier: 1 },
    ...over,
  });
}

const parts: TrainerParts = {
  openEngine: async ({ threads, precision }) => {
    expect(precision).toBe("float32");
    return { engine: compiledCpuEngine({ threads }), device: "cpu", reason: "for the test", precision: "float32" };
  },
  openViewMaker: ({ config: run, settings }) =>
    new LocalViewMaker({
      source: openSource({ settings, imageSize: run.model.imageSize }),
      augment: createAugmenter(run),
      cacheBytes: settings.cacheBytes,
      concurrency: 2,
    }),
  now: () => 0,
  entropy: systemEntropy,
};

async function train(given: CheckedJob): Promise<TrainedRound> {
  const trainer = new RoundTrainer(parts);
  try {
    return await trainer.train(given);
  } finally {
    await trainer.close();
  }
}

async function deltaOf({ deltaPath }: TrainedRound): Promise<Float32Array> {
  const bytes = await readFile(deltaPath);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

describe("a round that is private by patient", () => {
  it("trains with noise of the deviation that was charged for", async () => {
    const trained = await train(job());
    expect(trained).toMatchObject({ sampleCount: 12, steps: 3, figures: {} });
    const delta = await deltaOf(trained);
    const moved = delta.filter((value) => value !== 0);
    // Three steps of rate 0.5 along noise of deviation σC/B = 1/4, beside gradients of norm 1 in all.
    const deviation = 0.5 * Math.sqrt(3) * (1 / 4);
    const found = Math.sqrt(moved.reduce((sum, value) => sum + value * value, 0) / moved.length);
    expect(found / deviation).toBeGreaterThan(0.95);
    expect(found / deviation).toBeLessThan(1.05);
  });

  it("gives another delta each time it is trained, and the same where it was finished", async () => {
    const given = job();
    const [one, again, other] = [await train(given), await train(given), await train(job())];
    expect(again.deltaDigest).toBe(one.deltaDigest);
    expect(other.deltaDigest).not.toBe(one.deltaDigest);
  }, 120_000);

  it("refuses images that name no patient, and curation", async () => {
    await expect(train(job({ data: { path: join(root, "nameless") } }))).rejects.toThrow(/does not say whose it is/);
    const curated = { path: join(root, "named"), curation: {} };
    await expect(train(job({ data: curated }))).rejects.toThrow(/curation draws some images more often/);
  });

  it("takes images that name no patient where the site says that each is one", async () => {
    const trained = await train(job({ data: { path: join(root, "nameless"), patients: "each-image" } }));
    expect(trained.steps).toBe(3);
  });
});
