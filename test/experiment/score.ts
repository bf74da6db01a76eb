import { createHash } from "node:crypto";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { Engine } from "@consilium/site-agent/engine/program.js";
import { extractFeatures } from "@consilium/site-agent/eval/encode.js";
import type { FeatureSet } from "@consilium/site-agent/eval/feature-set.js";
import { knnPredict } from "@consilium/site-agent/eval/knn.js";
import { chosenProbe, fewShotProbe, type Spread } from "@consilium/site-agent/eval/linear-probe.js";
import { balancedAccuracy } from "@consilium/site-agent/eval/metrics.js";
import type { LabelledImages } from "../../deploy/demo/labelled-images.js";
import { type Encoder, labelsPerClass, type Splits } from "./subject.js";
import { type TunedScore, tunedScore } from "./tuned-score.js";

/** Balanced accuracies of frozen features on the test split. */
export interface FrozenScores {
  /** k = 20, uniform votes, the training split as neighbours. */
  readonly knn: number;
  /** On all labels of the training split; its regularisation is chosen on the validation split. */
  readonly linear: number;
  /** Linear probe on 10 labels per class, over draws of these. */
  readonly fewShot: Spread;
}

export interface EncoderScores extends FrozenScores {
  /** Fine-tuned on 10 labels per class. */
  readonly fineTuned: TunedScore;
}

export type Features = Readonly<Record<"train" | "val" | "test", FeatureSet>>;

const neighbours = 20;
const probeDraws = 10;
const strengths = [0.001, 0.01, 0.1, 1];

export function frozenScores({ train, val, test }: Features, splits: Splits): FrozenScores {
  const { classes } = splits;
  const [trainLabels, testLabels] = [splits.train.labels, splits.test.labels];
  const { predicted } = knnPredict({ train, trainLabels, queries: test, classes, k: neighbours, votes: "uniform" });
  const job = { train, trainLabels, test, testLabels, classes };
  return {
    knn: balancedAccuracy(testLabels, predicted),
    linear: chosenProbe({ ...job, val, valLabels: splits.val.labels, strengths }).balancedAccuracy,
    fewShot: fewShotProbe({ ...job, labelsPerClass, resamples: probeDraws, seed: 1 }).balancedAccuracy,
  };
}

/** Measures encoders, equal ones once: several methods begin with the same weights. */
export class EncoderScorer {
  readonly #engine: Engine;
  readonly #splits: Splits;
  readonly #modality: RunConfig["modality"];
  readonly #known = new Map<string, Promise<EncoderScores>>();

  constructor(engine: Engine, splits: Splits, modality: RunConfig["modality"]) {
    this.#engine = engine;
    this.#splits = splits;
    this.#modality = modality;
  }

  score(encoder: Encoder): Promise<EncoderScores> {
    const digest = digestOf(encoder);
    const known = this.#known.get(digest) ?? this.#measure(encoder);
    this.#known.set(digest, known);
    return known;
  }

  async #measure(encoder: Encoder): Promise<EncoderScores> {
    const [engine, splits] = [this.#engine, this.#splits];
    const of = ({ images }: LabelledImages) => extractFeatures({ ...encoder, engine, images, batchSize: 64 });
    const features = { train: await of(splits.train), val: await of(splits.val), test: await of(splits.test) };
    const fineTuned = await tunedScore({ encoder, engine, splits, modality: this.#modality });
    return { ...frozenScores(features, splits), fineTuned };
  }
}

function digestOf({ model, layout, vector }: Encoder): string {
  const hash = createHash("sha256").update(JSON.stringify(model));
  for (const { name, shape, offset, size } of layout.parameters) {
    hash.update(JSON.stringify([name, shape])).update(vector.slice(offset, offset + size));
  }
  return hash.digest("hex");
}
