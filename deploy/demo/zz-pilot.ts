import { rmSync, mkdirSync } from "node:fs";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { scoreEncoder, scorePixels } from "./evaluate.js";
import { readSplit } from "./labelled-images.js";
import { trainAlone } from "./local-arms.js";
import { readLabelsTable } from "./labels-table.js";
const over = JSON.parse(process.argv[2] ?? "{}");
const { threads = 2, split = "val", noBase, ...rest } = over;
const path = "/work/shared/data/derm/ham10000";
const config = runConfigSchema.parse({
  name: "pilot", seed: 1, modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 48, patchSize: 8 },
  method: { name: "simclr", temperature: 0.2 },
  optimizer: { learningRate: 0.001, weightDecay: 0.05, gradientClip: 3 },
  training: { batchSize: 64, stepsPerRound: 100 }, rounds: 1, ...rest });
const classes = readLabelsTable(path + "/labels.csv", { label: "dx", site: "site_noniid" }).classes;
const folder = { path, labelColumn: "dx", imageSize: 48 };
const b = { engine: compiledCpuEngine({ threads: 2 }), config, train: await readSplit(folder, "train", classes), test: await readSplit(folder, split, classes), classes: classes.length, labelsPerClass: 10 };
const initial = initialVector(parameterLayout(config), config.seed);
const f = (n: string, s: any) => console.log(n.padEnd(10), s.knnBalancedAccuracy.toFixed(3), s.knnMacroF1.toFixed(3), s.probe.mean.toFixed(3), "±", s.probe.deviation.toFixed(3));
if (!noBase) { f("pixels", scorePixels(b)); f("random", await scoreEncoder(b, initial)); }
const dir = "/tmp/pilot-" + process.pid; rmSync(dir, { recursive: true, force: true }); mkdirSync(dir);
const t = Date.now();
const [v] = await trainAlone({ directory: dir, config, initial, hospitals: [{ id: "pooled", data: { path, where: { split: "train" } } }], threads, atOnce: 1, onProgress: (x) => console.log(((Date.now() - t) / 1000).toFixed(0), x) });
console.log("train s", (Date.now() - t) / 1000);
f("pooled", await scoreEncoder(b, v!));
