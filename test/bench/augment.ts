import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { putImages } from "./augment-images.js";
import type { AugmentShape } from "./augment-process.js";
import type { BenchOptions, BenchResult } from "./bench.js";
import { pythonWith } from "./peer-python.js";
import { mean, median, rate, round } from "./rates.js";
import { StepProcess } from "./step-process.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Multi-crop of Caron et al. 2021. */
const recipe = { large: 224, small: 96, smallCrops: 8, largeScale: [0.4, 1], smallScale: [0.05, 0.4] } as const;

/** Images that are made before the clock runs, and in every turn; as many files. */
const imagesPerTurn = 24;

/**
 * Views of the multi-crop recipe from JPEG files of 1024 pixels, decoding included: images per second of one core's
 * time, whatever else the machine does. The files are drawn, or enlarged from those in --data. A site decodes to a
 * working size; `--working-size 1024` decodes every pixel. With --against torchvision the same crops made in Python, as
 * the recipe's users write it, take turns with ours; `ratio` is the median over turns of our images per second divided
 * by theirs.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const against = options.text("against", "");
  if (against !== "" && against !== "torchvision") throw new Error(`--against ${against}: only torchvision is known`);
  const needs = { asking: "--against torchvision", module: "PIL", packages: "pillow numpy torch torchvision" };
  const python = against === "" ? undefined : pythonWith(needs, process.env);
  const data = options.text("data", "");
  const home = await mkdtemp(join(tmpdir(), "consilium-augment-"));
  try {
    await putImages({ folder: home, count: imagesPerTurn, ...(data === "" ? {} : { from: data }) });
    const shape = { ...recipe, folder: home, workingSize: options.number("working-size", 0) };
    return { images: data === "" ? "drawn" : data, ...(await measure(shape, options.number("turns", 6), python)) };
  } finally {
    await rm(home, { recursive: true });
  }
}

async function measure(shape: AugmentShape, turns: number, python: string | undefined): Promise<BenchResult> {
  const argument = JSON.stringify(shape);
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const [ours, ready] = await StepProcess.start(process.execPath, [
    ...["--import", tsx, here("augment-process.ts"), argument],
  ]);
  let peer: readonly [StepProcess, Record<string, unknown>] | undefined;
  try {
    if (python !== undefined) {
      peer = await StepProcess.start(python, [here("peers/augment_torchvision.py"), argument]);
    }
    const measured = await takeTurns(ours, peer?.[0], turns);
    const { large, small, smallCrops } = shape;
    const figures = {
      crops: `2×${large} + ${smallCrops}×${small}`,
      workingSize: Number(ready["workingSize"]),
      imagesPerCoreSecond: rate(measured.ours),
      peakRssMiB: round(await ours.peakRssMiB(), 0),
    };
    if (peer === undefined) return figures;
    return {
      ...figures,
      peer: String(peer[1]["library"]),
      peerImagesPerCoreSecond: rate(measured.peer),
      peerPeakRssMiB: round(await peer[0].peakRssMiB(), 0),
      ratio: round(median(measured.ratios)),
      ratioSpread: `${round(Math.min(...measured.ratios))}–${round(Math.max(...measured.ratios))}`,
    };
  } finally {
    ours.stop();
    peer?.[0].stop();
  }
}

/** One after the other, so that whatever else the machine does meets both. Milliseconds per image of each turn. */
async function takeTurns(ours: StepProcess, peer: StepProcess | undefined, turns: number) {
  const all = { ours: [] as number[], peer: [] as number[], ratios: [] as number[] };
  await ours.steps(imagesPerTurn);
  await peer?.steps(imagesPerTurn);
  for (let turn = 0; turn < turns; turn++) {
    const mine = mean(await ours.steps(imagesPerTurn));
    all.ours.push(mine);
    if (peer === undefined) continue;
    const theirs = mean(await peer.steps(imagesPerTurn));
    all.peer.push(theirs);
    all.ratios.push(theirs / mine);
  }
  return all;
}
