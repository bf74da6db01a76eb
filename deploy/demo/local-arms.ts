import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type RunConfig, totalSteps } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { TrainerProcess } from "@consilium/site-agent/trainer/trainer-process.js";
import type { HospitalSetup } from "./federation.js";

export interface LocalTraining {
  readonly directory: string;
  readonly config: RunConfig;
  readonly initial: Float32Array;
  readonly hospitals: readonly HospitalSetup[];
  readonly threads: number;
  readonly atOnce: number;
  readonly onProgress: (text: string) => void;
}

/**
 * What each hospital would have without the others: from the same start, the same number of optimiser steps under the
 * same schedules, on its own images only.
 */
export async function trainAlone(training: LocalTraining): Promise<Float32Array[]> {
  const { directory, initial, hospitals, atOnce } = training;
  const steps = totalSteps(training.config);
  const config = { ...training.config, rounds: 1, training: { ...training.config.training, stepsPerRound: steps } };
  const checkpointPath = join(directory, "initial.safetensors");
  const tensors = checkpointLayout(config).parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: initial.subarray(offset, offset + size),
  }));
  await writeSafetensors(checkpointPath, tensors, {});
  const results: Float32Array[] = [];
  const waiting = [...hospitals.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, hospital] = next;
      results[index] = await trainOne({ ...training, config }, hospital, checkpointPath);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}

async function trainOne(
  training: LocalTraining,
  hospital: HospitalSetup,
  checkpointPath: string,
): Promise<Float32Array> {
  const { directory, config, threads, onProgress } = training;
  const trainer = new TrainerProcess();
  try {
    const job = {
      runId: `alone-${hospital.id}`,
      round: 0,
      config,
      checkpointPath,
      firstStep: 0,
      stateDirectory: join(directory, "alone"),
      data: hospital.data as { path: string },
      threads,
      siteId: hospital.id,
      // Nobody sums what is trained here: the same draws again harm no one.
      drawSeed: config.seed,
    };
    const trained = await trainer.trainRound(job, {
      onProgress: ({ step, steps, loss }) => {
        // Without a loss it is being prepared or saved.
        if (loss !== undefined && step % 50 === 0)
          onProgress(`${hospital.id} alone: step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
      },
    });
    const bytes = readFileSync(trained.deltaPath);
    const delta = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    return training.initial.map((value, index) => value + delta[index]!);
  } finally {
    await trainer.stop();
  }
}
