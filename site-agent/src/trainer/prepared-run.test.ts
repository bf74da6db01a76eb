import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAugmenter } from "../data/augment/augment.js";
import { openSource } from "../data/open-source.js";
import { putPatterns } from "../data/test-images.js";
import { LocalViewMaker } from "../data/view-maker.js";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import type { OpenedEngine } from "../engine/devices/device.js";
import type { OpenRequest } from "../engine/devices/device-drivers.js";
import { type PreparedRun, preparationKey, prepareRun, type TrainerParts } from "./prepared-run.js";
import { type CheckedJob, type Prepared, type TrainJob, trainJobSchema } from "./protocol.js";

let root: string;
let cacheDirectory: string;
let caches = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "prepared-run-"));
  await putPatterns(join(root, "images"), 3);
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(() => {
  cacheDirectory = join(root, `cache-${caches++}`);
});

const config: TrainJob["config"] = {
  name: "tiny",
  modality: "pathology",
  model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
  method: { name: "simclr" },
  optimizer: { learningRate: 0.001 },
  training: { batchSize: 4 },
  rounds: 1,
};

function job(changes: Partial<TrainJob> = {}): CheckedJob {
  return trainJobSchema.parse({
    ...{ runId: "run-1", round: 0, config, checkpointPath: "unused", firstStep: 0, stateDirectory: "unused" },
    ...{ data: { path: join(root, "images") }, threads: 1, siteId: "site-a", drawSeed: 1 },
    engine: { device: "cpu", cacheDirectory },
    ...changes,
  });
}

interface Outcome {
  readonly said: Prepared[];
  readonly asked: OpenRequest[];
  readonly run: PreparedRun;
}

type Opened = Partial<Pick<OpenedEngine, "device" | "precision">>;

async function prepare(
  changes: Partial<TrainJob> = {},
  { available, ...opened }: Opened & { available?: number } = {},
): Promise<Outcome> {
  const [said, asked]: [Prepared[], OpenRequest[]] = [[], []];
  const parts: TrainerParts = {
    async openEngine(request) {
      asked.push(request);
      const usual = { device: "cpu", reason: "for the test", precision: "float32" } as const;
      return { engine: compiledCpuEngine(request), ...usual, ...opened };
    },
    openViewMaker: ({ config: run, settings }) =>
      new LocalViewMaker({
        source: openSource({ settings, imageSize: run.model.imageSize }),
        augment: createAugmenter(run),
        ...{ cacheBytes: 0, concurrency: 1 },
      }),
    now: () => 0,
    entropy: systemEntropy,
    ...(available === undefined ? {} : { availableMemory: () => available }),
    onPrepared: (prepared) => said.push(prepared),
  };
  const run = await prepareRun(job(changes), parts);
  await run.close();
  return { said, asked, run };
}

const cacheFor = async (changes: Partial<TrainJob>) => (await prepare(changes)).said.map(({ cache }) => cache);

describe("prepareRun", () => {
  it("refuses a step that does not fit, with the batch size that does", async () => {
    const large = { training: { ...config.training, batchSize: 64 } };
    const refusal = prepare({ config: { ...config, ...large } }, { available: 60 * 1024 ** 2 });
    await expect(refusal).rejects.toMatchObject({ code: "out-of-memory" });
    await expect(refusal).rejects.toThrow(/needs .*, and 60(\.0)? MiB is available/);
    const remedy = await refusal.then(
      () => "",
      (error: unknown) => (error instanceof ConsiliumError ? (error.remedy ?? "") : ""),
    );
    const fits = Number(/training\.batchSize to (\d+) in/.exec(remedy)?.[1]);
    expect(fits).toBeGreaterThan(1);
    expect(fits).toBeLessThan(64);
    const smaller = { training: { ...config.training, batchSize: fits } };
    await prepare({ config: { ...config, ...smaller } }, { available: 60 * 1024 ** 2 });
  });

  it("scales the loss in mixed precision, and takes several steps a call on CUDA", async () => {
    const mixed = await prepare({}, { precision: "mixed" });
    expect(mixed.run.step.shape.lossScaling).toBe(true);
    const eight = { ...config, training: { ...config.training, stepsPerRound: 16 } };
    const cuda = await prepare({ config: eight }, { device: "cuda" });
    expect([mixed.run.step.stepsPerCall, cuda.run.step.stepsPerCall]).toEqual([1, 8]);
  });

  it("asks for the site's device and says once what it got", async () => {
    const engine = { device: "webgpu", precision: "mixed", cacheDirectory, tensorflowDirectory: "/tf" } as const;
    const { said, asked } = await prepare({ engine });
    expect(asked).toEqual([{ ...engine, threads: 1 }]);
    const origin = { cache: "miss", compileMs: expect.any(Number) };
    expect(said).toEqual([{ runId: "run-1", device: "cpu", precision: "float32", reason: "for the test", ...origin }]);
  });

  it("compiles a step once for runs that differ in nothing that the step contains", async () => {
    expect(await cacheFor({})).toEqual(["miss"]);
    const elsewhere = { ...config, name: "other", seed: 7, rounds: 9, cohort: { minSites: 4 } };
    expect(await cacheFor({ runId: "run-2", config: elsewhere })).toEqual(["hit"]);
  });

  it("compiles again for another method, batch, memory or optimiser", async () => {
    await prepare();
    for (const changes of [
      { method: { name: "simclr" as const, temperature: 0.2 } },
      { training: { batchSize: 6 } },
      { training: { batchSize: 4, recompute: true } },
      { optimizer: { learningRate: 0.001, beta2: 0.95 } },
    ]) {
      expect(await cacheFor({ config: { ...config, ...changes } })).toEqual(["miss"]);
    }
    expect(await cacheFor({})).toEqual(["hit"]);
  });

  it("ends with the reason when the device cannot be had", async () => {
    const missing = new ConsiliumError("config-invalid", "trainer.device asks for cuda, which cannot be used");
    const parts: TrainerParts = {
      openEngine: () => Promise.reject(missing),
      openViewMaker() {
        throw new Error("not reached");
      },
      now: () => 0,
      entropy: systemEntropy,
    };
    await expect(prepareRun(job({ engine: { device: "cuda" } }), parts)).rejects.toBe(missing);
  });
});

describe("preparationKey", () => {
  it("differs where another engine is asked for", () => {
    expect(preparationKey(job())).not.toBe(preparationKey(job({ engine: { device: "auto", cacheDirectory } })));
    expect(preparationKey(job())).toBe(preparationKey(job({ round: 3 })));
  });
});
