import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { readSafetensors, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAugmenter } from "../data/augment/augment.js";
import { dataSettingsSchema } from "../data/data-settings.js";
import { openSource } from "../data/open-source.js";
import { put, putPatterns } from "../data/test-images.js";
import { LocalViewMaker } from "../data/view-maker.js";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import type { TrainerParts } from "./prepared-run.js";
import { type CheckedJob, type TrainedRound, type TrainJob, type TrainOptions, trainJobSchema } from "./protocol.js";
import { RoundTrainer } from "./train-round.js";

let root: string;
let images: string;
let checkpointPath: string;
let states = 0;
let stateDirectory: string;

const config: TrainJob["config"] = {
  name: "tiny",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
  method: { name: "simclr" },
  optimizer: { learningRate: 0.001, warmupShare: 0 },
  training: { batchSize: 8, stepsPerRound: 4 },
  rounds: 5,
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "train-round-"));
  images = join(root, "images");
  await putPatterns(images, 23);
  await put(images, "broken.jpg", "not an image");
  checkpointPath = join(root, "checkpoint.safetensors");
  const layout = parameterLayout(job().config);
  const vector = initialVector(layout, 1);
  const tensors = layout.parameters.map(({ name, shape, offset, size }) => {
    return { name, shape, data: vector.subarray(offset, offset + size) };
  });
  await writeSafetensors(checkpointPath, tensors);
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(() => {
  stateDirectory = join(root, `state-${states++}`);
});

function job(over: Partial<TrainJob> = {}): CheckedJob {
  return trainJobSchema.parse({
    runId: "run-1",
    round: 0,
    config,
    checkpointPath: checkpointPath ?? "unset",
    firstStep: 0,
    stateDirectory: stateDirectory ?? "unset",
    data: { path: images },
    threads: 1,
    siteId: "site-a",
    drawSeed: 1,
    ...over,
  });
}

/** Counts compilations; time stands still but for one tick at each look, so that saves fall where a test wants them. */
function parts(device: "cpu" | "cuda" = "cpu"): TrainerParts & { compiled: number } {
  let now = 0;
  return {
    compiled: 0,
    async openEngine({ threads, cacheDirectory }) {
      this.compiled++;
      const engine = compiledCpuEngine({ threads, cacheDirectory });
      return { engine, device, reason: "for the test", precision: "float32" };
    },
    openViewMaker: ({ config: run, settings }) =>
      new LocalViewMaker({
        source: openSource({ settings, imageSize: run.model.imageSize }),
        augment: createAugmenter(run),
        cacheBytes: settings.cacheBytes,
        concurrency: 2,
      }),
    now: () => now++,
    entropy: systemEntropy,
  };
}

async function train(given: CheckedJob, options?: TrainOptions, device?: "cpu" | "cuda"): Promise<TrainedRound> {
  const trainer = new RoundTrainer(parts(device));
  try {
    return await trainer.train(given, options);
  } finally {
    await trainer.close();
  }
}

/** Stops after a number of steps, as an agent that is shut down does. */
async function interruptAfter(given: CheckedJob, steps: number): Promise<void> {
  const stop = new AbortController();
  const onProgress: TrainOptions["onProgress"] = ({ step }) => {
    if (step === steps) stop.abort();
  };
  await expect(train(given, { onProgress, signal: stop.signal })).rejects.toThrow("aborted");
}

describe("RoundTrainer", () => {
  it("trains a round and writes what was learned", async () => {
    const seen: string[] = [];
    const trained = await train(job(), { onProgress: ({ phase, step }) => seen.push(`${phase} ${step}`) });
    expect(trained).toMatchObject({ sampleCount: 23, steps: 4, skipped: { "unsupported-format": 1 } });
    expect(trained.meanLoss).toBeGreaterThan(1);
    expect(trained.meanLoss).toBeLessThan(4);
    expect(Object.keys(trained.figures).sort()).toEqual(["effectiveRank", "featureSpread"]);
    expect(trained.figures["featureSpread"]).toBeGreaterThan(0);
    expect(trained.figures["effectiveRank"]).toBeGreaterThan(1);
    const training = ["training 1", "training 2", "training 3", "training 4"];
    expect(seen).toEqual(["preparing 0", ...training, "saving 4"]);
    const bytes = await readFile(trained.deltaPath);
    const delta = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    expect(delta.length).toBe(parameterLayout(job().config).dimension);
    expect(delta.every(Number.isFinite)).toBe(true);
    expect(delta.some((value) => value !== 0)).toBe(true);
  });

  it("gives the same bits when it was interrupted, and again when it had finished", async () => {
    const through = await train(job());
    stateDirectory = `${stateDirectory}-resumed`;
    await interruptAfter(job(), 1);
    await interruptAfter(job(), 3);
    const resumed = await train(job());
    expect(resumed.deltaDigest).toBe(through.deltaDigest);
    expect(resumed.meanLoss).toBe(through.meanLoss);
    expect(resumed.figures).toEqual(through.figures);
    const again = await train(job(), { onProgress: ({ phase }) => expect(phase).not.toBe("training") });
    expect(again.deltaDigest).toBe(through.deltaDigest);
  });

  it("draws images as curation says, and goes on with the same ones", async () => {
    const data = dataSettingsSchema.parse({ path: images, curation: { exponent: 0, maxPerPatient: 2 } });
    const plain = await train(job());
    stateDirectory = `${stateDirectory}-curated`;
    const through = await train(job({ data }));
    expect(through.deltaDigest).not.toBe(plain.deltaDigest);
    stateDirectory = `${stateDirectory}-resumed`;
    await interruptAfter(job({ data }), 2);
    expect((await train(job({ data }))).deltaDigest).toBe(through.deltaDigest);
  });

  it("learns otherwise in a second run of the same file, whose draws have another secret", async () => {
    const salted = (byte: string) => job({ drawSeed: byte.repeat(32), runId: `run-${byte}` });
    const first = await train(salted("5a"));
    stateDirectory = `${stateDirectory}-again`;
    expect((await train(salted("5a"))).deltaDigest).toBe(first.deltaDigest);
    expect((await train(salted("5b"))).deltaDigest).not.toBe(first.deltaDigest);
  });

  it("goes on from a save in the middle when the process was lost", async () => {
    const through = await train(job());
    stateDirectory = `${stateDirectory}-lost`;
    const lost: TrainOptions["onProgress"] = ({ step }) => {
      if (step === 3) throw new Error("lost");
    };
    await expect(train(job({ saveEveryMs: 1 }), { onProgress: lost })).rejects.toThrow("lost");
    const steps: number[] = [];
    const resumed = await train(job({ saveEveryMs: 1 }), { onProgress: ({ step }) => steps.push(step) });
    expect(steps).toContain(4);
    expect(steps).not.toContain(1);
    expect(resumed.deltaDigest).toBe(through.deltaDigest);
  });

  describe("with several steps per call", () => {
    const ten = { ...config, training: { ...config.training, stepsPerRound: 10 } };

    it.each([3, 8])(
      "saves between calls only: gives the same bits when the process was lost in step %i",
      async (at) => {
        const through = await train(job({ config: ten }), {}, "cuda");
        stateDirectory = `${stateDirectory}-lost`;
        const lost: TrainOptions["onProgress"] = ({ step }) => {
          if (step === at) throw new Error("lost");
        };
        const saving = job({ config: ten, saveEveryMs: 1 });
        await expect(train(saving, { onProgress: lost }, "cuda")).rejects.toThrow("lost");
        expect((await train(saving, {}, "cuda")).deltaDigest).toBe(through.deltaDigest);
      },
    );

    it("lets the learning rate rise step by step", async () => {
      const lengths: number[] = [];
      for (const device of ["cpu", "cuda"] as const) {
        stateDirectory = `${stateDirectory}-${device}`;
        const { deltaPath } = await train(job({ config: ten, round: 1, firstStep: 10 }), {}, device);
        const bytes = await readFile(deltaPath);
        lengths.push(
          Math.hypot(...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice(0, 10_000)),
        );
      }
      expect(lengths[1]! / lengths[0]!).toBeCloseTo(1, 2);
    });
  });

  it("keeps compiled step and moments between the rounds of a run", async () => {
    const counted = parts();
    const trainer = new RoundTrainer(counted);
    await trainer.train(job());
    const second = await trainer.train(job({ round: 1, firstStep: 4 }));
    expect(counted.compiled).toBe(1);
    await trainer.train(job({ runId: "run-2" }));
    expect(counted.compiled).toBe(2);
    await trainer.close();
    stateDirectory = `${stateDirectory}-fresh`;
    const withoutMoments = await train(job({ round: 1, firstStep: 4 }));
    expect(withoutMoments.deltaDigest).not.toBe(second.deltaDigest);
  });

  it("compares its last update with what the cohort made of it, also after an interruption", async () => {
    const { deltaPath } = await train(job());
    const { parameters, dimension } = parameterLayout(job().config);
    const { tensors } = await readSafetensors(checkpointPath);
    const bytes = await readFile(deltaPath);
    const delta = new Float32Array(bytes.buffer, bytes.byteOffset, dimension);
    // Half of the site's own update: the cohort agreed, with less vigour.
    const next = join(root, "next.safetensors");
    const moved = parameters.map(({ name, shape, offset }) => {
      return { name, shape, data: tensors.get(name)!.data.map((value, i) => value + delta[offset + i]! / 2) };
    });
    await writeSafetensors(next, moved);
    const second = { round: 1, firstStep: 4, checkpointPath: next };
    const compared = job({ ...second, earlierCheckpointPath: checkpointPath });
    await interruptAfter(compared, 2);
    expect((await train(compared)).figures["cosine"]).toBeCloseTo(1, 5);
    expect((await train(job({ ...second, round: 2 }))).figures["cosine"]).toBeUndefined();
  });

  it("learns nothing with a learning rate of zero", async () => {
    const still = await train(job({ config: { ...config, optimizer: { learningRate: 0 } } }));
    expect((await readFile(still.deltaPath)).every((byte) => byte === 0)).toBe(true);
  });

  it("trains masked autoencoders too", async () => {
    const decoder = { decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 };
    const mae = { ...config, method: { name: "mae" as const, ...decoder } };
    const layout = parameterLayout(job({ config: mae }).config);
    const path = join(root, "mae.safetensors");
    const vector = initialVector(layout, 1);
    const window = (offset: number, size: number): Float32Array => vector.subarray(offset, offset + size);
    const tensors = layout.parameters.map(({ name, shape, offset, size }) => ({
      name,
      shape,
      data: window(offset, size),
    }));
    await writeSafetensors(path, tensors);
    const trained = await train(job({ config: mae, checkpointPath: path }));
    expect(trained.meanLoss).toBeGreaterThan(0);
  });

  it("says what is wrong with data and checkpoint", async () => {
    await expect(train(job({ data: { path: join(root, "none") } }))).rejects.toMatchObject({
      code: "input-unreadable",
    });
    await expect(train(job({ checkpointPath: join(root, "none") }))).rejects.toMatchObject({
      code: "input-unreadable",
    });
    const broken = join(root, "all-broken");
    for (const id of ["a.png", "b.png"]) await put(broken, id, "no");
    await expect(train(job({ data: { path: broken } }))).rejects.toMatchObject({ code: "not-enough-data" });
  });
});
