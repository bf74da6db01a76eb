import { fileURLToPath } from "node:url";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { patientMechanism } from "@consilium/shared/privacy/prediction.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { colourHistograms } from "@consilium/site-agent/eval/colour-histogram.js";
import { extractFeatures } from "@consilium/site-agent/eval/encode.js";
import type { LabelledImages } from "../../deploy/demo/labelled-images.js";
import { datasetPath, datasets, readSplits } from "../experiment/datasets.js";
import { pretrain } from "../experiment/pretrain.js";
import { frozenScores } from "../experiment/score.js";
import { imageSize, settingOf } from "../experiment/settings.js";
import { encoderOf, type Splits } from "../experiment/subject.js";
import type { BenchOptions, BenchResult } from "./bench.js";
import { round } from "./turns.js";

const root = fileURLToPath(new URL("../../../shared/data", import.meta.url));

/**
 * What privacy of patients costs in quality, at one small scale: MAE on HAM10000, trained as a plain and as a private run of
 * equal steps and batches. Balanced accuracy on the test split of the frozen encoder, before training and after both.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const steps = options.number("steps", 200);
  const data = datasetPath(options.text("data", root), "derm");
  const splits = await readSplits(data, "derm", imageSize);
  // Every image of this data set shows another lesion.
  const patients = splits.train.images.length;
  const plain = configOf(options, steps);
  const privacy = {
    ...{ mode: "patient", epsilon: options.number("epsilon", 8), delta: options.number("delta", 1e-4) },
    ...{ clip: options.number("clip", 1), leastPatients: patients },
  };
  const config = runConfigSchema.parse({ ...plain, privacy, monitor: { collapse: "off" } });
  if (config.privacy.mode !== "patient") throw new Error("the private run is not private");
  const { noiseMultiplier, samplingRate } = patientMechanism(config, config.privacy);
  const shared = { data: { path: data, where: { split: "train" }, patients: "each-image" as const }, threads: 1 };
  const unprotected = await pretrain({ ...shared, config: plain, device: "cpu" });
  const guarded = await pretrain({ ...shared, config, device: "cpu", privacy: { noiseMultiplier, samplingRate } });
  const figures = { patients, steps, ...privacyFigures(privacy), noiseMultiplier: round(noiseMultiplier, 3) };
  const scored = {
    before: await scores(splits, { config, vector: unprotected.initial }),
    plain: await scores(splits, { config, vector: unprotected.vector }),
    private: await scores(splits, { config, vector: guarded.vector }),
    colours: floor(splits),
  };
  const columns = Object.entries(scored).flatMap(([name, { knn, linear }]) => [
    [`${name}Knn`, round(knn, 3)],
    [`${name}Linear`, round(linear, 3)],
  ]);
  return { ...figures, plainStepMs: round(unprotected.stepMs), ...Object.fromEntries(columns) };
}

const privacyFigures = ({ epsilon, delta, clip }: { epsilon: number; delta: number; clip: number }) => {
  return { epsilon, delta, clip };
};

function configOf(options: BenchOptions, steps: number): RunConfig {
  const setting = settingOf("mae", { seed: options.number("seed", 1), steps, modality: datasets.derm.modality });
  const learningRate = options.number("rate", 1e-3);
  const training = { batchSize: options.number("batch", 64), stepsPerRound: steps };
  return runConfigSchema.parse({ ...setting, training, optimizer: { ...setting.optimizer, learningRate } });
}

async function scores(splits: Splits, { config, vector }: { config: RunConfig; vector: Float32Array }) {
  const engine = compiledCpuEngine({ threads: 1 });
  const of = ({ images }: LabelledImages) =>
    extractFeatures({ ...encoderOf(config, vector), engine, images, batchSize: 64 });
  return frozenScores(
    { train: await of(splits.train), val: await of(splits.val), test: await of(splits.test) },
    splits,
  );
}

/** What the colours alone give. */
function floor(splits: Splits) {
  const of = ({ images }: LabelledImages) => colourHistograms(images);
  return frozenScores({ train: of(splits.train), val: of(splits.val), test: of(splits.test) }, splits);
}
