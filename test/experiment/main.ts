import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type MethodName, methodNames } from "@consilium/shared/config/method-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { colourHistograms } from "@consilium/site-agent/eval/colour-histogram.js";
import { type LabelledImages, pixelFeatures } from "../../deploy/demo/labelled-images.js";
import { type DatasetName, datasetPath, datasets, readSplits } from "./datasets.js";
import { pretrain } from "./pretrain.js";
import { encodeSplits, type FrozenScores, fineTunedScore, frozenScores, type Splits } from "./score.js";
import { imageSize, settingOf } from "./settings.js";

const usage = `npm run experiment -- methods [options]

  --data derm|pcam       which images                         (derm)
  --data-root DIR        folder that holds derm/ and slides/  (../shared/data)
  --methods a,b          which methods                        (all)
  --minutes N            training time of each                (15)
  --seeds 1,2            one run for each                     (1)
  --threads N            of the training step                 (2)
  --no-floors            leave out raw pixels and colour histogram
  --out FILE             append one line of JSON per run      (none)`;

/** Steps from which the speed is taken. */
const trialSteps = 12;

interface Options {
  readonly dataset: DatasetName;
  readonly root: string;
  readonly methods: readonly MethodName[];
  readonly minutes: number;
  readonly seeds: readonly number[];
  readonly threads: number;
  readonly floors: boolean;
  readonly out: string | undefined;
}

function optionsFrom(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      data: { type: "string", default: "derm" },
      "data-root": { type: "string", default: "../shared/data" },
      methods: { type: "string", default: methodNames.join(",") },
      minutes: { type: "string", default: "15" },
      seeds: { type: "string", default: "1" },
      threads: { type: "string", default: "2" },
      "no-floors": { type: "boolean", default: false },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || positionals[0] !== "methods") return undefined;
  const dataset = (Object.keys(datasets) as DatasetName[]).find((name) => name === values.data);
  if (dataset === undefined) throw new Error(`--data ${values.data}: use derm or pcam`);
  const methods = values.methods.split(",").map((name) => {
    const known = methodNames.find((method) => method === name);
    if (known === undefined) throw new Error(`--methods ${name}: use ${methodNames.join(", ")}`);
    return known;
  });
  const numbers = { minutes: Number(values.minutes), threads: Number(values.threads) };
  for (const [name, value] of Object.entries(numbers)) if (!(value > 0)) throw new Error(`--${name}: not a number`);
  const seeds = values.seeds.split(",").map(Number);
  return {
    dataset,
    root: values["data-root"],
    methods,
    seeds,
    floors: !values["no-floors"],
    out: values.out,
    ...numbers,
  };
}

type Row = FrozenScores & { readonly name: string; readonly fineTuned?: number };

const share = (value: number | undefined): string => (value === undefined ? "" : value.toFixed(3)).padStart(8);

function say({ name, knn, linear, fewShot, fineTuned }: Row): void {
  console.log(`${name.padEnd(32)}${share(knn)}${share(linear)}${share(fewShot)}${share(fineTuned)}`);
}

function floors(splits: Splits): void {
  const named: Readonly<Record<string, (images: LabelledImages) => ReturnType<typeof pixelFeatures>>> = {
    "raw pixels": pixelFeatures,
    "colour histogram": ({ images }) => colourHistograms(images),
  };
  for (const [name, featuresOf] of Object.entries(named)) {
    const [train, val, test] = [splits.train, splits.val, splits.test].map(featuresOf);
    say({ name, ...frozenScores({ train: train!, val: val!, test: test! }, splits) });
  }
}

interface Run {
  readonly options: Options;
  readonly path: string;
  readonly splits: Splits;
  readonly method: MethodName;
  readonly seed: number;
}

function pretraining({ options, path, method }: Run, config: RunConfig) {
  let told = 0;
  return pretrain({
    config,
    data: { path, where: { split: "train" } },
    threads: options.threads,
    onStep(step, steps, loss) {
      if (Date.now() - told < 30_000) return;
      told = Date.now();
      console.error(`${method}: step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
    },
  });
}

async function experiment(run: Run): Promise<void> {
  const { options, splits, method, seed } = run;
  const { modality } = datasets[options.dataset];
  const trial = await pretraining(run, settingOf(method, { seed, modality, steps: trialSteps }));
  const { batchSize } = settingOf(method, { seed, modality, steps: 1 }).training;
  const steps = Math.max(trialSteps, Math.round((options.minutes * 60 * trial.imagesPerSecond) / batchSize));
  const config = settingOf(method, { seed, modality, steps });
  const startedAt = Date.now();
  const { initial, vector, imagesPerSecond } = await pretraining(run, config);
  const minutes = (Date.now() - startedAt) / 60_000;
  const engine = compiledCpuEngine({ threads: options.threads });
  const scored = async (weights: Float32Array) => {
    const encoder = { engine, config, vector: weights };
    const frozen = frozenScores(await encodeSplits(encoder, splits), splits);
    return { ...frozen, fineTuned: await fineTunedScore(encoder, splits) };
  };
  const before = await scored(initial);
  const after = await scored(vector);
  say({ name: `${method}, seed ${seed}, before`, ...before });
  say({ name: `${method}, seed ${seed}, ${steps} steps`, ...after });
  const line = { data: options.dataset, method, seed, steps, minutes, imagesPerSecond, before, after };
  if (options.out !== undefined) appendFileSync(options.out, `${JSON.stringify(line)}\n`);
}

async function main(options: Options): Promise<void> {
  const path = datasetPath(options.root, options.dataset);
  const splits = await readSplits(path, options.dataset, imageSize);
  console.log(`balanced accuracy on ${options.dataset}, test split`);
  console.log(`${"".padEnd(32)}${["kNN", "linear", "10/class", "tuned"].map((text) => text.padStart(8)).join("")}`);
  if (options.floors) floors(splits);
  for (const method of options.methods) {
    for (const seed of options.seeds) await experiment({ options, path, splits, method, seed });
  }
}

try {
  const options = optionsFrom(process.argv.slice(2));
  if (options === undefined) console.log(usage);
  else await main(options);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
