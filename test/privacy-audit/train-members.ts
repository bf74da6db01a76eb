import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import { openSource } from "@consilium/site-agent/data/open-source.js";
import { LocalViewMaker } from "@consilium/site-agent/data/view-maker.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import type { TrainerParts } from "@consilium/site-agent/trainer/prepared-run.js";
import { type PrivateTraining, trainJobSchema } from "@consilium/site-agent/trainer/protocol.js";
import { RoundTrainer } from "@consilium/site-agent/trainer/train-round.js";
import { seededEntropy } from "./seeded-entropy.js";

export interface MembersRun {
  readonly config: RunConfig;
  /** Folder of the members' images, one of each patient. */
  readonly images: string;
  /** Where the trainer may write. */
  readonly directory: string;
  readonly charged: PrivateTraining;
  readonly seed: string;
}

/** One round of private training as a site does it. @returns what it would send: trained minus first, [dimension] */
export async function trainMembers({ config, images, directory, charged, seed }: MembersRun): Promise<Float32Array> {
  const layout = checkpointLayout(config);
  const initial = initialVector(layout, config.seed);
  const checkpointPath = join(directory, "checkpoint.safetensors");
  const tensors = layout.parameters.map(({ name, shape, offset, size }) => {
    return { name, shape, data: initial.subarray(offset, offset + size) };
  });
  await writeSafetensors(checkpointPath, tensors);
  const job = trainJobSchema.parse({
    ...{
      runId: "audit",
      round: 0,
      config,
      checkpointPath,
      firstStep: 0,
      threads: 1,
      siteId: "site",
      drawSeed: config.seed,
    },
    ...{ stateDirectory: join(directory, "state"), data: { path: images, patients: "each-image" }, privacy: charged },
  });
  const trainer = new RoundTrainer(partsWith(seed));
  try {
    const { deltaPath } = await trainer.train(job);
    const { buffer, byteOffset, byteLength } = readFileSync(deltaPath);
    return new Float32Array(buffer, byteOffset, byteLength / 4).slice();
  } finally {
    await trainer.close();
  }
}

function partsWith(seed: string): TrainerParts {
  return {
    openEngine: async ({ threads }) => {
      const engine = compiledCpuEngine({ threads });
      return { engine, device: "cpu", reason: "for the audit", precision: "float32" };
    },
    openViewMaker: ({ config, settings }) =>
      new LocalViewMaker({
        source: openSource({ settings, imageSize: config.model.imageSize }),
        augment: createAugmenter(config),
        cacheBytes: settings.cacheBytes,
        concurrency: 2,
      }),
    now: () => 0,
    entropy: seededEntropy(seed),
  };
}
