import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { type RunConfig, runConfigSchema, totalSteps } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { readCheckpoint } from "@consilium/site-agent/trainer/checkpoint-vector.js";
import { type Benchmark, scoreEncoder, scorePixels } from "./evaluate.js";
import { type HospitalSetup, LocalFederation } from "./federation.js";
import { readSplit } from "./labelled-images.js";
import { readLabelsTable, siteIdOf } from "./labels-table.js";
import { trainAlone } from "./local-arms.js";
import { smallSettings } from "./method-settings.js";
import { type DemoOptions, parseOptions, usage } from "./options.js";
import { drawPhantoms } from "./phantoms.js";
import { commands, runCommand } from "./processes.js";
import { type Arm, meanScore, tableOf } from "./report.js";

const labelsPerClass = 10;
const startedMs = Date.now();

function say(text: string): void {
  console.log(`${((Date.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

function runConfigOf(options: DemoOptions, sites: number): RunConfig {
  const { method, augmentation = {}, optimizer = {} } = smallSettings[options.method];
  const learningRate = options.learningRate ?? optimizer.learningRate ?? 1e-3;
  return runConfigSchema.parse({
    name: options.data === undefined ? "demo-phantoms" : "demo",
    seed: options.seed,
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: options.imageSize, patchSize: options.patchSize },
    method: { name: options.method, ...method },
    augmentation,
    optimizer: { weightDecay: 0.05, gradientClip: 3, ...optimizer, learningRate },
    training: { batchSize: options.batchSize, stepsPerRound: options.stepsPerRound },
    rounds: options.rounds,
    cohort: { minSites: Math.min(3, sites) },
    deadlines: { trainingSeconds: 900, stageSeconds: 120 },
  });
}

interface Images {
  readonly path: string;
  readonly labelColumn: string;
  readonly classes: readonly string[];
  readonly hospitals: readonly HospitalSetup[];
}

/** Real images stay where they are: each hospital's configuration chooses its rows of the labels file. */
async function findImages(options: DemoOptions): Promise<Images> {
  if (options.data === undefined) {
    say("drawing synthetic images in three styles: lesion, radiograph, stained tissue");
    const hospitals = ["north", "south", "west"];
    const directory = join(options.directory, "phantoms");
    await drawPhantoms({ directory, hospitals, trainPerHospital: 240, testPerHospital: 80, seed: options.seed });
    return imagesIn(directory, { label: "label", site: "hospital" });
  }
  return imagesIn(resolve(options.data), { label: options.label, site: options.siteColumn });
}

function imagesIn(path: string, columns: { label: string; site: string }): Images {
  const table = readLabelsTable(join(path, "labels.csv"), columns);
  if (table.hospitals.length < 3)
    throw new Error(`column '${columns.site}' names ${table.hospitals.length} hospitals; masking needs three`);
  const hospitals = table.hospitals.map((name) => ({
    id: siteIdOf(name),
    data: { path, where: { split: "train", [columns.site]: name } },
  }));
  return { path, labelColumn: columns.label, classes: table.classes, hospitals };
}

/** Launches the run, shows its progress until it has ended, and fetches its weights. */
async function pretrain(federation: LocalFederation, options: DemoOptions, config: RunConfig): Promise<string> {
  const runFile = join(options.directory, "run.yaml");
  writeFileSync(runFile, JSON.stringify(config, null, 2));
  const watched = await runCommand(
    commands.consilium,
    ["run", "launch", runFile, "--watch", "--profile", federation.profile],
    { inherit: true },
  );
  if (watched.code !== 0)
    throw new Error(`the run ended with exit code ${watched.code}; see ${options.directory}/logs`);
  const weights = join(options.directory, "weights");
  await federation.consilium("run", "export", config.name, "--out", weights);
  return weights;
}

async function compare(
  options: DemoOptions,
  images: Images,
  config: RunConfig,
  federated: Float32Array,
): Promise<Arm[]> {
  const folder = { path: images.path, labelColumn: images.labelColumn, imageSize: options.imageSize };
  const benchmark: Benchmark = {
    engine: compiledCpuEngine({ threads: availableParallelism() }),
    config,
    train: await readSplit(folder, "train", images.classes),
    test: await readSplit(folder, options.testSplit, images.classes),
    classes: images.classes.length,
    labelsPerClass,
  };
  const initial = initialVector(checkpointLayout(config), config.seed);
  const arms: Arm[] = [
    { name: "raw pixels", score: scorePixels(benchmark) },
    { name: "random encoder", score: await scoreEncoder(benchmark, initial) },
  ];
  if (options.compareLocal) {
    say(`training each hospital alone for the same ${totalSteps(config)} steps`);
    const vectors = await trainAlone({
      directory: options.directory,
      config,
      initial,
      hospitals: images.hospitals,
      threads: options.threads,
      atOnce: Math.max(1, Math.floor(availableParallelism() / options.threads)),
      onProgress: say,
    });
    const scores = [];
    for (const vector of vectors) scores.push(await scoreEncoder(benchmark, vector));
    arms.push({ name: `local only, mean of ${vectors.length}`, score: meanScore(scores) });
  }
  arms.push({ name: "federated", score: await scoreEncoder(benchmark, federated) });
  return arms;
}

async function demo(options: DemoOptions): Promise<void> {
  rmSync(options.directory, { recursive: true, force: true });
  mkdirSync(options.directory, { recursive: true });
  const images = await findImages(options);
  const config = runConfigOf(options, images.hospitals.length);
  const federation = new LocalFederation({
    directory: options.directory,
    hospitals: images.hospitals,
    threadsPerSite: options.threads,
    additions: "approve",
    onStep: say,
  });
  const stopOnInterrupt = () => void federation.stop().then(() => process.exit(130));
  process.once("SIGINT", stopOnInterrupt);
  let weights: string;
  try {
    await federation.start();
    say(
      `launching ${config.method.name} on ${config.model.architecture}: ${config.rounds} rounds of ${config.training.stepsPerRound} steps`,
    );
    weights = await pretrain(federation, options, config);
  } finally {
    await federation.stop();
  }
  process.removeListener("SIGINT", stopOnInterrupt);
  const trainedSeconds = (Date.now() - startedMs) / 1000;
  say("federation stopped; comparing encoders on images that no hospital trained on");
  const { vector } = await readCheckpoint(join(weights, "checkpoint.safetensors"), checkpointLayout(config));
  const arms = await compare(options, images, config, vector);
  finish(options, { arms, weights, trainedSeconds });
}

function finish(options: DemoOptions, result: { arms: readonly Arm[]; weights: string; trainedSeconds: number }): void {
  const { arms, weights, trainedSeconds } = result;
  const kind = options.data === undefined ? "synthetic images drawn by code" : resolve(options.data);
  console.log(`\nFrozen features on ${kind}, split '${options.testSplit}':\n`);
  for (const line of tableOf(arms, labelsPerClass)) console.log(`  ${line}`);
  console.log(`\nweights: ${resolve(weights)} (encoder.safetensors, encoder.onnx, checkpoint.safetensors)`);
  console.log(`logs:    ${resolve(options.directory, "logs")}`);
  const seconds = (Date.now() - startedMs) / 1000;
  if (options.json) console.log(JSON.stringify({ seconds, trainedSeconds, arms, weights: resolve(weights) }));
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(usage);
  else await demo({ ...options, directory: resolve(options.directory) });
} catch (error) {
  console.error(
    `error: ${error instanceof Error ? error.message : String(error)}\n  → npm run demo -- --help lists the options`,
  );
  process.exitCode = 1;
}
