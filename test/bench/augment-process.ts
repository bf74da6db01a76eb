import { createInterface } from "node:readline";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { listItems } from "@consilium/site-agent/data/list-items.js";
import { openSource } from "@consilium/site-agent/data/open-source.js";
import { withWorkingSize } from "@consilium/site-agent/data/working-size.js";

/** What is measured, said in one line of JSON to each of the processes that do it. */
export interface AugmentShape {
  readonly folder: string;
  /** Sides of the crops, in pixels. */
  readonly large: number;
  readonly small: number;
  readonly smallCrops: number;
  /** Shares of the area. */
  readonly largeScale: readonly [number, number];
  readonly smallScale: readonly [number, number];
  /** Short side that images are decoded to; 0: what a site has by default. */
  readonly workingSize: number;
}

/** The run whose views are made: multi-crop as in its paper, with neither vertical flips nor turns. */
function configOf({ large, small, smallCrops, largeScale, smallScale }: AugmentShape): RunConfig {
  return runConfigSchema.parse({
    name: "bench",
    modality: "dermatology",
    model: { architecture: "vit-tiny", imageSize: large, patchSize: 16 },
    method: { name: "dino", localCrops: smallCrops, localSize: small },
    augmentation: { cropScale: largeScale, localCropScale: smallScale, verticalFlip: 0, quarterTurns: 0 },
    optimizer: { learningRate: 1e-4 },
    rounds: 1,
  });
}

/** Entry: makes the views of images one after the other. See step-process.ts for what it is told and says. */
const shape = JSON.parse(process.argv[2]!) as AugmentShape;
const config = configOf(shape);
const settings = withWorkingSize(
  dataSettingsSchema.parse({
    path: shape.folder,
    ...(shape.workingSize === 0 ? {} : { workingSize: shape.workingSize }),
  }),
  config,
);
const source = openSource({ settings, imageSize: config.model.imageSize });
const augment = createAugmenter(config);
const items = await listItems(source);
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true, workingSize: settings.workingSize });

/** Of all threads, so that what the decoder's thread and the garbage collector take counts. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

let taken = 0;
async function images(count: number): Promise<void> {
  const stepMs: number[] = [];
  for (let image = 0; image < count; image++, taken++) {
    const began = processorMs();
    const item = items[taken % items.length]!;
    augment(await source.read(item), (view) => randomFor("bench", taken, view));
    stepMs.push(processorMs() - began);
  }
  say({ stepMs });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") say({ peakRssMiB: process.resourceUsage().maxRSS / 1024 });
  else await images(Number(line));
}
