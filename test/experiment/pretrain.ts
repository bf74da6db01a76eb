import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import type { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { TrainerProcess } from "@consilium/site-agent/trainer/trainer-process.js";
import type { z } from "zod";

export interface PretrainJob {
  readonly config: RunConfig;
  /** Settings of the images, as a site has them. */
  readonly data: z.input<typeof dataSettingsSchema>;
  readonly threads: number;
  onStep(step: number, steps: number, loss: number): void;
}

export interface Pretrained {
  readonly initial: Float32Array;
  /** A checkpoint's vector after the last step. */
  readonly vector: Float32Array;
  readonly imagesPerSecond: number;
}

/** All steps of a run at one site, in a trainer process as an agent starts it. */
export async function pretrain({ config, data, threads, onStep }: PretrainJob): Promise<Pretrained> {
  const directory = mkdtempSync(join(tmpdir(), "experiment-"));
  const trainer = new TrainerProcess();
  try {
    const layout = checkpointLayout(config);
    const initial = initialVector(layout, config.seed);
    const checkpointPath = join(directory, "initial.safetensors");
    const tensors = layout.parameters.map(({ name, shape, offset, size }) => ({
      ...{ name, shape },
      data: initial.subarray(offset, offset + size),
    }));
    await writeSafetensors(checkpointPath, tensors, {});
    const job = {
      ...{ runId: "experiment", round: 0, config, checkpointPath, firstStep: 0, stateDirectory: directory },
      ...{ data, threads, siteId: "experiment" },
    };
    const trained = await trainer.trainRound(job, {
      onProgress: ({ step, steps, loss }) => {
        if (loss !== undefined) onStep(step, steps, loss);
      },
    });
    const bytes = readFileSync(trained.deltaPath);
    const delta = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const vector = initial.map((value, index) => value + (delta[index] ?? 0));
    return { initial, vector, imagesPerSecond: trained.imagesPerSecond };
  } finally {
    await trainer.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
