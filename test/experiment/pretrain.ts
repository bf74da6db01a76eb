import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import type { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import type { DeviceChoice } from "@consilium/site-agent/engine/devices/device.js";
import type { PrivateTraining } from "@consilium/site-agent/trainer/protocol.js";
import { TrainerProcess } from "@consilium/site-agent/trainer/trainer-process.js";
import type { z } from "zod";

export interface PretrainJob {
  readonly config: RunConfig;
  /** Settings of the images, as a site has them. */
  readonly data: z.input<typeof dataSettingsSchema>;
  readonly threads: number;
  readonly device: DeviceChoice;
  /** Of a run that is private by patient. */
  readonly privacy?: PrivateTraining;
  readonly onStep?: (step: number, steps: number, loss: number) => void;
}

export interface Pretrained {
  readonly initial: Float32Array;
  /** A checkpoint's vector after the last step. */
  readonly vector: Float32Array;
  /** From the first step's end to the last one's, so without compiling. */
  readonly trainingMs: number;
  /** Median over the later half of the steps, when every image has been decoded. */
  readonly stepMs: number;
  readonly meanLoss: number;
}

/** All steps of a run at one site, in a trainer process as an agent starts it. */
export async function pretrain({ config, data, threads, device, privacy, onStep }: PretrainJob): Promise<Pretrained> {
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
      ...{ data, threads, engine: { device }, siteId: "experiment", drawSeed: config.seed },
      ...(privacy === undefined ? {} : { privacy }),
    };
    const stepEnds: number[] = [];
    const { deltaPath, meanLoss } = await trainer.trainRound(job, {
      onProgress: ({ step, steps, loss }) => {
        // Without a loss it is being prepared or saved.
        if (loss === undefined) return;
        stepEnds.push(performance.now());
        onStep?.(step, steps, loss);
      },
    });
    const vector = withDelta(initial, readFileSync(deltaPath));
    return { initial, vector, meanLoss, ...timesOf(stepEnds) };
  } finally {
    await trainer.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function withDelta(initial: Float32Array, { buffer, byteOffset, byteLength }: Buffer): Float32Array {
  const delta = new Float32Array(buffer, byteOffset, byteLength / 4);
  return initial.map((value, index) => value + delta[index]!);
}

function timesOf(stepEnds: readonly number[]): Pick<Pretrained, "trainingMs" | "stepMs"> {
  const gaps = stepEnds.slice(1).map((end, index) => end - stepEnds[index]!);
  const later = gaps.slice(Math.floor(gaps.length / 2)).sort((a, b) => a - b);
  return {
    trainingMs: gaps.reduce((sum, gap) => sum + gap, 0),
    stepMs: later[Math.floor(later.length / 2)] ?? 0,
  };
}
