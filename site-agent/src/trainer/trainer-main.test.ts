import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAugmenter } from "../data/augment/augment.js";
import { openSource } from "../data/open-source.js";
import { put, putPatterns } from "../data/test-images.js";
import { LocalViewMaker } from "../data/view-maker.js";
import { openEngine } from "../engine/devices/open-engine.js";
import { type Prepared, type TrainJob, trainJobSchema } from "./protocol.js";
import { RoundTrainer } from "./train-round.js";
import { TrainerProcess } from "./trainer-process.js";

/** The real process with its threads, from the build: `npm test` builds first. */
const entryPath = fileURLToPath(new URL("../../dist/trainer/trainer-main.js", import.meta.url));

let root: string;
let trainer: TrainerProcess;
const prepared: Prepared[] = [];

beforeAll(async () => {
  if (!existsSync(entryPath)) throw new Error("run `npm run build` first: this test starts the built trainer");
  root = await mkdtemp(join(tmpdir(), "trainer-main-"));
  await putPatterns(join(root, "images"), 24);
  await put(root, "images/broken.png", "no image");
  const layout = parameterLayout(trainJobSchema.parse(job("any")).config);
  const vector = initialVector(layout, 1);
  const tensors = layout.parameters.map(({ name, shape, offset, size }) => {
    return { name, shape, data: vector.subarray(offset, offset + size) };
  });
  await writeSafetensors(join(root, "checkpoint.safetensors"), tensors);
  trainer = new TrainerProcess({ entryPath, onPrepared: (said) => prepared.push(said) });
});
afterEach(() => trainer.stop());
afterAll(() => rm(root, { recursive: true }));

function job(runId: string): TrainJob {
  return {
    runId,
    round: 0,
    config: {
      name: "tiny",
      modality: "pathology",
      model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
      method: { name: "simclr" },
      optimizer: { learningRate: 0.001, warmupShare: 0 },
      training: { batchSize: 8, stepsPerRound: 24 },
      rounds: 1,
    },
    checkpointPath: join(root, "checkpoint.safetensors"),
    firstStep: 0,
    stateDirectory: join(root, "state"),
    data: { path: join(root, "images") },
    threads: 1,
    engine: { device: "cpu", cacheDirectory: join(root ?? "unset", "cache") },
    siteId: "site-a",
    drawSeed: "5a".repeat(32),
    saveEveryMs: 1,
  };
}

/** The same round in this process and thread. */
async function trainedHere(): Promise<string> {
  const here = new RoundTrainer({
    openEngine: (request) => openEngine(request),
    openViewMaker: ({ config, settings }) =>
      new LocalViewMaker({
        source: openSource({ settings, imageSize: config.model.imageSize }),
        augment: createAugmenter(config),
        cacheBytes: 0,
        concurrency: 1,
      }),
    now: () => performance.now(),
    entropy: systemEntropy,
  });
  const { deltaDigest } = await here.train(trainJobSchema.parse(job("here")));
  await here.close();
  return deltaDigest;
}

describe("trainer process", () => {
  it("learns the same bits with threads, after being killed, as in one thread without interruption", async () => {
    const killed = trainer.trainRound(job("killed"), {
      onProgress: ({ step }) => {
        if (step === 2) process.kill(trainer.pid!, "SIGKILL");
      },
    });
    await expect(killed).rejects.toMatchObject({ code: "training-failed" });
    const trained = await trainer.trainRound(job("killed"));
    expect(trained).toMatchObject({ steps: 24, sampleCount: 24, skipped: { "unsupported-format": 1 } });
    expect(trained.deltaDigest).toBe(await trainedHere());
    // The second process found what the first had compiled.
    const said = { runId: "killed", device: "cpu", precision: "float32" };
    expect(prepared).toMatchObject([
      { ...said, cache: "miss" },
      { ...said, cache: "hit" },
    ]);
  });

  it("interrupts a round, and reports what the data lacks with its code", async () => {
    const stop = new AbortController();
    const interrupted = trainer.trainRound(job("interrupted"), { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(interrupted).rejects.toMatchObject({ name: "AbortedError" });
    const elsewhere = { ...job("interrupted"), data: { path: join(root, "none") } };
    await expect(trainer.trainRound(elsewhere)).rejects.toMatchObject({ code: "input-unreadable" });
  });
});
