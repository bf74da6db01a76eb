import { poolingOf, type RunConfig } from "@consilium/shared/config/run-config.js";
import { encoderTensors } from "@consilium/shared/params/checkpoint-layout.js";
import type { Engine } from "@consilium/site-agent/engine/program.js";
import { extractFeatures } from "@consilium/site-agent/eval/encode.js";
import type { FeatureSet } from "@consilium/site-agent/eval/feature-set.js";
import { knnPredict } from "@consilium/site-agent/eval/knn.js";
import { fewShotProbe, type Spread } from "@consilium/site-agent/eval/linear-probe.js";
import { balancedAccuracy, macroF1 } from "@consilium/site-agent/eval/metrics.js";
import { type LabelledImages, pixelFeatures } from "./labelled-images.js";

/** How well frozen features tell the classes of the test split apart. Shares between 0 and 1. */
export interface Scorecard {
  /** k = 20, cosine, neighbours from the training split. */
  readonly knnBalancedAccuracy: number;
  readonly knnMacroF1: number;
  /** Linear probe at a few labels per class: balanced accuracy over several draws. */
  readonly probe: Spread;
}

export interface Benchmark {
  readonly engine: Engine;
  readonly config: RunConfig;
  readonly train: LabelledImages;
  readonly test: LabelledImages;
  readonly classes: number;
  readonly labelsPerClass: number;
}

const neighbours = 20;
const draws = 10;

function score(benchmark: Benchmark, train: FeatureSet, test: FeatureSet): Scorecard {
  const { classes, labelsPerClass } = benchmark;
  const [trainLabels, testLabels] = [benchmark.train.labels, benchmark.test.labels];
  const { predicted } = knnPredict({ train, trainLabels, queries: test, classes, k: neighbours, votes: "uniform" });
  const few = { train, trainLabels, test, testLabels, classes, labelsPerClass, resamples: draws, seed: 1 };
  return {
    knnBalancedAccuracy: balancedAccuracy(testLabels, predicted),
    knnMacroF1: macroF1(testLabels, predicted),
    probe: fewShotProbe(few).balancedAccuracy,
  };
}

export function scorePixels(benchmark: Benchmark): Scorecard {
  return score(benchmark, pixelFeatures(benchmark.train), pixelFeatures(benchmark.test));
}

/** @param vector a checkpoint of the run, flat */
export async function scoreEncoder(benchmark: Benchmark, vector: Float32Array): Promise<Scorecard> {
  const { engine, config } = benchmark;
  const layout = { parameters: encoderTensors(config) };
  const model = { ...config.model, pooling: poolingOf(config.method) };
  const features = (images: readonly Uint8Array[]) =>
    extractFeatures({ engine, model, layout, vector, images, batchSize: 64 });
  return score(benchmark, await features(benchmark.train.images), await features(benchmark.test.images));
}
