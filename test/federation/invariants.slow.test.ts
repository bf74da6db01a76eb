import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { readSafetensors, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import { openSource } from "@consilium/site-agent/data/open-source.js";
import { LocalViewMaker } from "@consilium/site-agent/data/view-maker.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { trainJobSchema } from "@consilium/site-agent/trainer/protocol.js";
import { RoundTrainer } from "@consilium/site-agent/trainer/train-round.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { putPatterns } from "../../site-agent/src/data/test-images.js";

/** What must hold for every method when it is averaged, on real rounds without masking, which has tests of its own. */

let root: string;
let images: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "invariants-"));
  images = join(root, "images");
  await putPatterns(images, 12);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const small = { outputDim: 16, hiddenDim: 16, bottleneckDim: 8, localCrops: 1, localSize: 8, momentum: 0.9 };
const methods = [
  { name: "simclr", projectionDim: 8 },
  { name: "byol", hiddenDim: 16, projectionDim: 8, momentum: 0.9 },
  { name: "mae", decoderWidth: 16, decoderBlocks: 1, decoderHeads: 2 },
  { name: "dino", ...small },
  { name: "ibot", ...small },
  { name: "dinov2", ...small },
  { name: "gmml" },
  { name: "sit", hiddenDim: 16, projectionDim: 8, momentum: 0.9 },
  { name: "colorme" },
] as const;

interface Shape {
  readonly rounds: number;
  readonly stepsPerRound: number;
  readonly learningRate?: number;
}

const configOf = (method: object, { rounds, stepsPerRound, learningRate = 1e-3 }: Shape): RunConfig =>
  runConfigSchema.parse({
    ...{ name: "invariants", modality: "dermatology", method, rounds },
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 4 },
    optimizer: { learningRate, gradientClip: 3, warmupShare: 0 },
    training: { batchSize: 4, stepsPerRound },
  });

let folders = 0;

/** A site that trains one round after the other, each from the checkpoint that it is given. */
class Site {
  readonly #directory = join(root, `site-${folders++}`);
  readonly #trainer = new RoundTrainer({
    openEngine: async () => ({
      engine: compiledCpuEngine({ threads: 1 }),
      ...{ device: "cpu", reason: "for the test", precision: "float32" },
    }),
    openViewMaker: ({ config, settings }) =>
      new LocalViewMaker({
        source: openSource({ settings, imageSize: config.model.imageSize }),
        augment: createAugmenter(config),
        ...{ cacheBytes: 0, concurrency: 1 },
      }),
    now: () => 0,
    entropy: systemEntropy,
  });

  async delta(config: RunConfig, round: number, checkpoint: Float32Array): Promise<Float32Array> {
    const checkpointPath = join(root, `checkpoint-${folders++}.safetensors`);
    const tensors = checkpointLayout(config).parameters.map(({ name, shape, offset, size }) => {
      return { name, shape, data: checkpoint.subarray(offset, offset + size) };
    });
    await writeSafetensors(checkpointPath, tensors);
    const job = trainJobSchema.parse({
      ...{ runId: "run", round, config, checkpointPath, stateDirectory: this.#directory, siteId: "a", threads: 1 },
      firstStep: round * config.training.stepsPerRound,
      // As if every site and run had made the same salt: only then can results be compared bit by bit.
      drawSeed: config.seed,
      data: { path: images },
    });
    const { deltaPath } = await this.#trainer.train(job);
    const bytes = readFileSync(deltaPath);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  }

  /** What the site saved of its last round, in the checkpoint's order. */
  async trained(config: RunConfig): Promise<Float32Array> {
    const { tensors } = await readSafetensors(join(this.#directory, "run", "state.safetensors"));
    const layout = checkpointLayout(config);
    const vector = new Float32Array(layout.dimension);
    vector.set(tensors.get("parameters")!.data);
    for (const { name, offset } of layout.parameters) {
      const carried = tensors.get(`carried/${name}`);
      if (carried !== undefined) vector.set(carried.data, offset);
    }
    return vector;
  }

  close(): Promise<void> {
    return this.#trainer.close();
  }
}

/** The next checkpoint: the mean of the sites' deltas on top of the last one. */
function averaged(checkpoint: Float32Array, deltas: readonly Float32Array[]): Float32Array {
  return checkpoint.map((value, i) => value + deltas.reduce((sum, delta) => sum + delta[i]!, 0) / deltas.length);
}

async function federated(config: RunConfig, sites: number): Promise<Float32Array> {
  let checkpoint = initialVector(checkpointLayout(config), config.seed);
  const members = Array.from({ length: sites }, () => new Site());
  for (let round = 0; round < config.rounds; round++) {
    const deltas: Float32Array[] = [];
    for (const site of members) deltas.push(await site.delta(config, round, checkpoint));
    checkpoint = averaged(checkpoint, deltas);
  }
  await Promise.all(members.map((site) => site.close()));
  return checkpoint;
}

/**
 * One site whose checkpoint is what it trained, to the last bit. A difference that is sent and added again may round there,
 * which is checked as well.
 */
async function alone(config: RunConfig): Promise<Float32Array> {
  let checkpoint = initialVector(checkpointLayout(config), config.seed);
  const site = new Site();
  for (let round = 0; round < config.rounds; round++) {
    const delta = await site.delta(config, round, checkpoint);
    const trained = await site.trained(config);
    const again = averaged(checkpoint, [delta]);
    expect(again.every((value, i) => Math.abs(value - trained[i]!) <= 2 ** -22 * Math.abs(delta[i]!))).toBe(true);
    checkpoint = trained;
  }
  await site.close();
  return checkpoint;
}

describe.each(methods)("$name", (method) => {
  it("trains with one site in rounds what it trains in one go, bit by bit", async () => {
    const rounds = await alone(configOf(method, { rounds: 2, stepsPerRound: 2 }));
    const once = await alone(configOf(method, { rounds: 1, stepsPerRound: 4 }));
    expect(rounds).toEqual(once);
  }, 120_000);

  it("trains with two sites that see the same what it trains with one", async () => {
    const config = configOf(method, { rounds: 2, stepsPerRound: 1 });
    expect(await federated(config, 2)).toEqual(await federated(config, 1));
  }, 120_000);

  it("learns nothing at a learning rate of zero", async () => {
    const config = configOf(method, { rounds: 1, stepsPerRound: 2, learningRate: 0 });
    const site = new Site();
    const start = initialVector(checkpointLayout(config), config.seed);
    const delta = await site.delta(config, 0, start);
    await site.close();
    const moved = checkpointLayout(config)
      .parameters.filter(({ offset, size }) => delta.subarray(offset, offset + size).some((x) => Math.abs(x) > 1e-7))
      .map(({ name }) => name);
    // Centres follow what the teacher gives, which needs no learning.
    expect(moved.filter((name) => !name.startsWith("centre."))).toEqual([]);
  }, 120_000);
});
