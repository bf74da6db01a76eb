import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import type { Engine } from "@consilium/site-agent/engine/program.js";
import { sampleLabels } from "@consilium/site-agent/eval/few-shot.js";
import { type FineTuneJob, type FineTuneSettings, fineTune } from "@consilium/site-agent/eval/fine-tune.js";
import { type Spread, spreadOf } from "@consilium/site-agent/eval/linear-probe.js";
import { balancedAccuracy } from "@consilium/site-agent/eval/metrics.js";
import { type Encoder, labelsPerClass, type Splits } from "./subject.js";

export interface TunedJob {
  readonly encoder: Encoder;
  readonly engine: Engine;
  readonly splits: Splits;
  readonly modality: RunConfig["modality"];
}

/** On the test split, over draws of labels. */
export interface TunedScore extends Spread {
  /** The one that was chosen. */
  readonly learningRate: number;
}

const tuning: Omit<FineTuneSettings, "learningRate"> = {
  ...{ steps: 150, batchSize: 32 },
  ...{ weightDecay: 0.05, warmupShare: 0.1 },
};

/** From what keeps a trained encoder to what trains a random one. */
const learningRates = [2e-4, 7e-4, 2e-3];

const draws = 3;

/**
 * Balanced accuracy after fine-tuning on 10 labels per class. Every encoder, the untrained one too, is given the learning
 * rate that suits it best on the validation split, and all are given the same draws of labels, orders of images and
 * augmentations.
 */
export async function tunedScore(job: TunedJob): Promise<TunedScore> {
  const tried: (TunedScore & { readonly onVal: number })[] = [];
  for (const learningRate of learningRates) {
    const scores: { val: number; test: number }[] = [];
    for (let draw = 0; draw < draws; draw++) scores.push(await scoreOfDraw(job, { ...tuning, learningRate }, draw));
    const onVal = spreadOf(scores.map(({ val }) => val)).mean;
    tried.push({ ...spreadOf(scores.map(({ test }) => test)), learningRate, onVal });
  }
  const { mean, deviation, learningRate } = tried.reduce((most, one) => (one.onVal > most.onVal ? one : most));
  return { mean, deviation, learningRate };
}

async function scoreOfDraw({ encoder, engine, splits, modality }: TunedJob, settings: FineTuneSettings, draw: number) {
  const { train, val, test, classes } = splits;
  const rows = sampleLabels(train.labels, labelsPerClass, randomFor("few-shot", 1, labelsPerClass, draw));
  const predicted = await fineTune({
    ...{ ...encoder, engine, settings, seed: draw, classes },
    augment: lightAugmenter(encoder, modality),
    train: Array.from(rows, (row) => train.images[row]!),
    trainLabels: Int32Array.from(rows, (row) => train.labels[row]!),
    test: [...val.images, ...test.images],
  });
  const split = val.images.length;
  return {
    val: balancedAccuracy(val.labels, predicted.subarray(0, split)),
    test: balancedAccuracy(test.labels, predicted.subarray(split)),
  };
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
