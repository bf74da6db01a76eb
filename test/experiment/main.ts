import { appendFileSync } from "node:fs";
import type { MethodName } from "@consilium/shared/config/method-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { colourHistograms } from "@consilium/site-agent/eval/colour-histogram.js";
import type { FeatureSet } from "@consilium/site-agent/eval/feature-set.js";
import { type LabelledImages, pixelFeatures } from "../../deploy/demo/labelled-images.js";
import { datasetPath, datasets, readSplits } from "./datasets.js";
import { type ExperimentOptions, parseOptions, usage } from "./options.js";
import { pretrain } from "./pretrain.js";
import { gainRow, scoresRow, tableHead } from "./report.js";
import { EncoderScorer, frozenScores } from "./score.js";
import { imageSize, settingOf } from "./settings.js";
import { encoderOf, type Splits } from "./subject.js";

/** Steps from which the speed is taken. */
const trialSteps = 24;
const tellEveryMs = 30_000;

interface Experiment {
  readonly options: ExperimentOptions;
  /** Folder of the images. */
  readonly path: string;
  readonly splits: Splits;
  readonly scorer: EncoderScorer;
}

/** Figures as soon as they are there, so that nothing is lost when a later run fails. */
function keep({ json, out, dataset }: ExperimentOptions, figures: object): void {
  const line = JSON.stringify({ data: dataset, ...figures });
  if (json) console.log(line);
  if (out !== undefined) appendFileSync(out, `${line}\n`);
}

function measureFloors({ options, splits }: Experiment): void {
  const floors: readonly [string, (images: LabelledImages) => FeatureSet][] = [
    ["raw pixels", pixelFeatures],
    ["colour histogram", ({ images }) => colourHistograms(images)],
  ];
  for (const [floor, of] of floors) {
    const features = { train: of(splits.train), val: of(splits.val), test: of(splits.test) };
    const scores = frozenScores(features, splits);
    console.log(scoresRow(floor, scores));
    keep(options, { floor, scores });
  }
}

function train({ options, path }: Experiment, config: RunConfig) {
  let toldAt = performance.now();
  return pretrain({
    config,
    data: { path, where: { split: "train" } },
    ...{ threads: options.threads, device: options.device },
    onStep(step, steps, loss) {
      if (performance.now() - toldAt < tellEveryMs) return;
      toldAt = performance.now();
      console.error(`${config.method.name}: step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
    },
  });
}

async function runMethod(experiment: Experiment, method: MethodName, seed: number): Promise<void> {
  const { options, scorer } = experiment;
  const { modality } = datasets[options.dataset];
  const configOf = (steps: number) => settingOf(method, { seed, modality, steps });
  const steps = options.steps ?? (await stepsThatFit(experiment, configOf(trialSteps)));
  const config = configOf(steps);
  const { initial, vector, trainingMs, stepMs, meanLoss } = await train(experiment, config);
  const startedAt = performance.now();
  const before = await scorer.score(encoderOf(config, initial));
  const after = await scorer.score(encoderOf(config, vector));
  console.log(scoresRow(`${method}, seed ${seed}, before`, before));
  console.log(scoresRow(`  after ${steps} steps`, after));
  console.log(gainRow("  gain", before, after));
  const minutes = { training: trainingMs / 60_000, evaluation: (performance.now() - startedAt) / 60_000 };
  keep(options, {
    method,
    seed,
    steps,
    device: options.device,
    minutes,
    stepsPerSecond: 1000 / stepMs,
    meanLoss,
    before,
    after,
  });
}

/** Schedules need the number of steps before the first one: it is what fits into the minutes at the speed of a trial. */
async function stepsThatFit(experiment: Experiment, trial: RunConfig): Promise<number> {
  const { stepMs } = await train(experiment, trial);
  const steps = Math.max(trialSteps, Math.round((experiment.options.minutes * 60_000) / stepMs));
  console.error(`${trial.method.name}: ${(1000 / stepMs).toFixed(2)} steps per second, so ${steps} steps`);
  return steps;
}

async function main(options: ExperimentOptions): Promise<void> {
  const { modality } = datasets[options.dataset];
  const path = datasetPath(options.root, options.dataset);
  const splits = await readSplits(path, options.dataset, imageSize);
  const engine = compiledCpuEngine({ threads: options.threads });
  const experiment = { options, path, splits, scorer: new EncoderScorer(engine, splits, modality) };
  console.log(`balanced accuracy on ${options.dataset}, test split\n${tableHead}`);
  if (options.floors) measureFloors(experiment);
  for (const method of options.methods) {
    for (const seed of options.seeds) await runMethod(experiment, method, seed);
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(usage);
  else await main(options);
} catch (error) {
  console.error(
    `error: ${error instanceof Error ? error.message : String(error)}\n  → npm run experiment -- --help lists the options`,
  );
  process.exitCode = 1;
}
