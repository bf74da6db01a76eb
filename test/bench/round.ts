import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { LocalFederation } from "../../deploy/demo/federation.js";
import { until } from "../../deploy/demo/processes.js";
import type { BenchOptions, BenchResult } from "./bench.js";
import { type ProcessFigures, processFigures } from "./process-figures.js";
import { syntheticDelta } from "./synthetic-delta.js";

/** The model whose number of parameters is nearest to what was asked for. */
function configFor(params: number, sites: number) {
  const configs = (["vit-nano", "vit-tiny", "vit-small", "vit-base"] as const).map((architecture) =>
    runConfigSchema.parse({
      name: "bench",
      modality: "dermatology",
      model: { architecture, imageSize: 224, patchSize: 16 },
      method: { name: "simclr" },
      optimizer: { learningRate: 0.001, weightDecay: 0, warmupShare: 0 },
      training: { stepsPerRound: 1 },
      rounds: 1,
      cohort: { minSites: sites },
    }),
  );
  const distance = (config: (typeof configs)[number]) => Math.abs(parameterLayout(config).dimension - params);
  return configs.reduce((best, config) => (distance(config) < distance(best) ? config : best));
}

function startSite(home: string, index: number): Promise<ChildProcess> {
  const entry = fileURLToPath(new URL("./round-site.ts", import.meta.url));
  const child = fork(entry, [home, String(index)], { execArgv: ["--import", "tsx"] });
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve(child));
    child.once("exit", (code) => reject(new Error(`site ${index} ended with ${code}`)));
  });
}

function stopSite(child: ChildProcess): Promise<ProcessFigures> {
  return new Promise((resolve) => {
    child.once("message", (figures) => resolve(figures as ProcessFigures));
    child.send("stop");
  });
}

/** Largest difference between the published checkpoint and the plain weighted mean of the same deltas. */
async function errorOf(path: string, config: ReturnType<typeof configFor>, sites: number): Promise<number> {
  const layout = parameterLayout(config);
  const expected = Float64Array.from(initialVector(layout, config.seed));
  const total = Array.from({ length: sites }, (_, site) => 100 + site).reduce((sum, weight) => sum + weight, 0);
  for (let site = 0; site < sites; site++) {
    const delta = syntheticDelta(layout.dimension, site);
    for (let index = 0; index < delta.length; index++) expected[index]! += (delta[index]! * (100 + site)) / total;
  }
  const { tensors } = await readSafetensors(path);
  let worst = 0;
  for (const { name, offset, size } of layout.parameters) {
    const { data } = tensors.get(name)!;
    for (let index = 0; index < size; index++)
      worst = Math.max(worst, Math.abs(data[index]! - expected[offset + index]!));
  }
  return worst;
}

/** One round's protocol over real gRPC and mutual TLS, without training: fetch, masked aggregation, checkpoint. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const [sites, params] = [options.number("sites", 5), options.number("params", 22e6)];
  const directory = mkdtempSync(join(tmpdir(), "consilium-bench-"));
  const config = configFor(params, sites);
  const images = join(directory, "images");
  mkdirSync(images);
  // The stand-in trainer reads no pixel; the agent counts files before it takes part.
  for (let index = 0; index < 8; index++) writeFileSync(join(images, `${index}.png`), "");
  const hospitals = Array.from({ length: sites }, (_, index) => ({ id: `site-${index}`, data: { path: images } }));
  const federation = new LocalFederation({ directory, hospitals, threadsPerSite: 1 });
  try {
    await federation.initialise();
    await federation.startCoordinator();
    for (const hospital of hospitals) await federation.join(hospital);
    await federation.admit(...hospitals.map(({ id }) => id));
    const children = await Promise.all(hospitals.map(({ id }, index) => startSite(federation.agentHome(id), index)));
    const pid = federation.coordinatorPid!;
    const before = processFigures(pid);
    const runFile = join(directory, "run.yaml");
    writeFileSync(runFile, JSON.stringify(config));
    const launched = JSON.parse(await federation.consilium("run", "launch", runFile, "--json")) as { runId: string };
    const shown = await until("round committed", 300_000, async () => {
      const run = JSON.parse(await federation.consilium("run", "show", launched.runId, "--json")) as {
        summary: { status: string };
        history: { durationMs: number; uploadedBytes: number; cohort: string[] }[];
      };
      return run.summary.status === "completed" ? run : undefined;
    });
    const after = processFigures(pid);
    const record = shown.history[0]!;
    const figures = await Promise.all(children.map(stopSite));
    await federation.consilium("run", "export", launched.runId, "--out", join(directory, "out"), "--no-onnx");
    return {
      sites: record.cohort.length,
      params: parameterLayout(config).dimension,
      seconds: record.durationMs / 1000,
      coordinatorPeakRssMiB: Math.round(after.peakRssMiB),
      siteCpuSeconds: figures.reduce((sum, figure) => sum + figure.cpuSeconds, 0) / sites,
      sitePeakRssMiB: Math.round(Math.max(...figures.map((figure) => figure.peakRssMiB))),
      coordinatorCpuSeconds: after.cpuSeconds - before.cpuSeconds,
      uploadBytesPerSite: Math.round(record.uploadedBytes / record.cohort.length),
      maxAbsError: await errorOf(join(directory, "out", "checkpoint.safetensors"), config, sites),
    };
  } finally {
    await federation.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
