import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import type { Engine } from "@consilium/site-agent/engine/program.js";
import { sampleLabels } from "@consilium/site-agent/eval/few-shot.js";
import { type FineTuneJob, type FineTuneSettings, fineTune } from "@consilium/site-agent/eval/fine-tune.js";
import { type Spread, spreadOf } from "@consilium/site-agent/eval/linear-probe.js";
import { balancedAccuracy } from "@consilium/site-agent/eval/metrics.js";
import type { LabelledImages } from "../../deploy/demo/labelled-images.js";
import { type Encoder, labelsPerClass, type Splits } from "./subject.js";

export interface TunedJob {
  readonly encoder: Encoder;
  readonly engine: Engine;
  readonly splits: Pick<Splits, "train" | "classes">;
  /** What the tuned models are judged on. */
  readonly judged: LabelledImages;
  readonly modality: RunConfig["modality"];
  readonly settings?: FineTuneSettings;
  /** Absent: `tuningDraws`. */
  readonly draws?: number;
}

export const tuning: FineTuneSettings = {
  ...{ steps: 150, batchSize: 64, learningRate: 5e-4 },
  ...{ weightDecay: 0.05, warmupShare: 0.1 },
};

const tuningDraws = 3;

/**
 * Balanced accuracy after fine-tuning on 10 labels per class. Every encoder is given the same draws of labels, orders of
 * images and augmentations.
 */
export async function tunedScore(job: TunedJob): Promise<Spread> {
  const { encoder, engine, splits, judged, settings = tuning } = job;
  const augment = lightAugmenter(encoder, job.modality);
  const scores: number[] = [];
  for (let draw = 0; draw < (job.draws ?? tuningDraws); draw++) {
    const rows = sampleLabels(splits.train.labels, labelsPerClass, randomFor("few-shot", 1, labelsPerClass, draw));
    const predicted = await fineTune({
      ...{ ...encoder, engine, augment, settings, seed: draw, classes: splits.classes },
      train: Array.from(rows, (row) => splits.train.images[row]!),
      trainLabels: Int32Array.from(rows, (row) => splits.train.labels[row]!),
      test: judged.images,
    });
    scores.push(balancedAccuracy(judged.labels, predicted));
  }
  return spreadOf(scores);
}

/** Flips, turns and crops of at least half of the image. */
function lightAugmenter({ model }: Encoder, modality: RunConfig["modality"]): FineTuneJob["augment"] {
  const { pooling: _pooling, ...own } = model;
  const augment = createAugmenter({
    ...{ model: own, modality },
    method: {
      ...{ name: "mae", maskRatio: 0.75, normalizePixels: true },
      ...{ decoderWidth: 96, decoderBlocks: 1, decoderHeads: 3 },
    },
    augmentation: { cropScale: [0.5, 1] },
  });
  const { imageSize } = model;
  return (image, random) => augment({ width: imageSize, height: imageSize, data: image }, () => random)[0]!;
}
