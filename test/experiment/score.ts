import { poolingOf, type RunConfig } from "@consilium/shared/config/run-config.js";
import { encoderTensors } from "@consilium/shared/params/checkpoint-layout.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import type { Engine } from "@consilium/site-agent/engine/program.js";
import { extractFeatures } from "@consilium/site-agent/eval/encode.js";
import type { FeatureSet } from "@consilium/site-agent/eval/feature-set.js";
import { sampleLabels } from "@consilium/site-agent/eval/few-shot.js";
import { type FineTuneSettings, fineTune } from "@consilium/site-agent/eval/fine-tune.js";
import { knnPredict } from "@consilium/site-agent/eval/knn.js";
import { fewShotProbe, linearProbe } from "@consilium/site-agent/eval/linear-probe.js";
import { balancedAccuracy } from "@consilium/site-agent/eval/metrics.js";
import type { LabelledImages } from "../../deploy/demo/labelled-images.js";

/** Balanced accuracies on the test split. */
export interface FrozenScores {
  /** k = 20. */
  readonly knn: number;
  /** On all labels of the training split. */
  readonly linear: number;
  /** Linear probe on 10 labels per class, mean over draws. */
  readonly fewShot: number;
}

export interface Splits {
  readonly train: LabelledImages;
  readonly val: LabelledImages;
  readonly test: LabelledImages;
  readonly classes: number;
}

export interface Features {
  readonly train: FeatureSet;
  readonly val: FeatureSet;
  readonly test: FeatureSet;
}

export const labelsPerClass = 10;
const neighbours = 20;
const draws = 10;
const strengths = [0.001, 0.01, 0.1, 1];

export function frozenScores(features: Features, splits: Splits): FrozenScores {
  const { train, test } = features;
  const { classes } = splits;
  const [trainLabels, testLabels] = [splits.train.labels, splits.test.labels];
  const { predicted } = knnPredict({ train, trainLabels, queries: test, classes, k: neighbours, votes: "uniform" });
  const job = { train, trainLabels, test, testLabels, classes };
  const few = fewShotProbe({ ...job, labelsPerClass, resamples: draws, seed: 1 });
  return {
    knn: balancedAccuracy(testLabels, predicted),
    linear: chosenProbe(features, splits),
    fewShot: few.balancedAccuracy.mean,
  };
}

/** The strength of regularisation is chosen on the validation split. */
function chosenProbe({ train, val, test }: Features, splits: Splits): number {
  const { classes } = splits;
  const trainLabels = splits.train.labels;
  const on = (features: FeatureSet, labels: Int32Array, inverseRegularisation: number): number =>
    linearProbe({ ...{ train, trainLabels, classes }, test: features, testLabels: labels, inverseRegularisation })
      .balancedAccuracy;
  const scored = strengths.map((strength) => ({ strength, score: on(val, splits.val.labels, strength) }));
  const best = scored.reduce((most, one) => (one.score > most.score ? one : most));
  return on(test, splits.test.labels, best.strength);
}

export interface Encoder {
  readonly engine: Engine;
  readonly config: RunConfig;
  /** A checkpoint's vector. */
  readonly vector: Float32Array;
}

export async function encodeSplits({ engine, config, vector }: Encoder, splits: Splits): Promise<Features> {
  const layout = { parameters: encoderTensors(config) };
  const model = { ...config.model, pooling: poolingOf(config.method) };
  const of = ({ images }: LabelledImages) => extractFeatures({ engine, model, layout, vector, images, batchSize: 64 });
  return { train: await of(splits.train), val: await of(splits.val), test: await of(splits.test) };
}

/** Chosen on the validation split of the dermatology photos, from scratch and from SimCLR alike. */
const tuning: FineTuneSettings = { steps: 150, batchSize: 64, learningRate: 5e-4, weightDecay: 0.05, warmupShare: 0.1 };
const tuningDraws = 3;

/** Fine-tuning on 10 labels per class: mean balanced accuracy over draws of labels. */
export async function fineTunedScore({ engine, config, vector }: Encoder, splits: Splits): Promise<number> {
  const layout = { parameters: encoderTensors(config) };
  const model = { ...config.model, pooling: poolingOf(config.method) };
  const augment = lightAugmenter(config);
  const scores: number[] = [];
  for (let draw = 0; draw < tuningDraws; draw++) {
    const rows = sampleLabels(splits.train.labels, labelsPerClass, randomFor("few-shot", 1, labelsPerClass, draw));
    const predicted = await fineTune({
      ...{ engine, model, layout, vector, augment, settings: tuning, seed: draw, classes: splits.classes },
      train: Array.from(rows, (row) => splits.train.images[row]!),
      trainLabels: Int32Array.from(rows, (row) => splits.train.labels[row]!),
      test: splits.test.images,
    });
    scores.push(balancedAccuracy(splits.test.labels, predicted));
  }
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/** Flips, turns and crops of at least half of the image. */
function lightAugmenter({ model, modality }: RunConfig): (image: Uint8Array, random: Random) => Uint8Array {
  const augment = createAugmenter({
    ...{ model, modality },
    method: {
      ...{ name: "mae", maskRatio: 0.75, normalizePixels: true },
      ...{ decoderWidth: 96, decoderBlocks: 1, decoderHeads: 3 },
    },
    augmentation: { cropScale: [0.5, 1] },
  });
  const { imageSize } = model;
  return (image, random) => augment({ width: imageSize, height: imageSize, data: image }, () => random)[0]!;
}
