import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { createAugmenter } from "@consilium/site-agent/data/augment/augment.js";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { openSource } from "@consilium/site-agent/data/open-source.js";
import type { FoundItem, SourceItem } from "@consilium/site-agent/data/source.js";
import type { z } from "zod";

export interface DataShape {
  readonly settings: z.input<typeof dataSettingsSchema>;
  /** Only items of these transfer syntaxes. */
  readonly syntaxes?: readonly string[];
  /** Side of a random crop that is made of each image; absent: the image itself is what counts. */
  readonly crop?: number;
}

/** Entry: reads images one after the other. See step-process.ts for what it is told and says. */
const shape = JSON.parse(process.argv[2]!) as DataShape;
const side = shape.crop ?? 224;
const source = openSource({ settings: dataSettingsSchema.parse(shape.settings), imageSize: side });
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);

/** Crop and flip alone. */
const augment = createAugmenter(
  runConfigSchema.parse({
    ...{
      name: "bench",
      modality: "dermatology",
      rounds: 1,
      method: { name: "mae" },
      optimizer: { learningRate: 1e-3 },
      training: {},
    },
    model: { architecture: "vit-nano", imageSize: side, patchSize: 16 },
  }),
);

async function chosenItems(): Promise<readonly SourceItem[]> {
  const found: FoundItem[] = [];
  for await (const file of source.files()) found.push(...(await source.items(file).catch(() => [])));
  const { syntaxes } = shape;
  return syntaxes === undefined ? found : found.filter(({ facts }) => syntaxes.includes(facts.transferSyntax ?? ""));
}

/** Of all threads and of processes that this one started, such as OpenSlide's, so that whatever works for it counts. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  const children = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return (user + system) / 1000 + children.reduce((sum, pid) => sum + childMs(pid), 0);
}

/** Ticks of the system's clock are 10 ms. */
function childMs(pid: string): number {
  try {
    // What follows the name in parentheses: state, parent, …, user time and system time as 12th and 13th.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return Number(fields[1]) === process.pid ? 10 * (Number(fields[11]) + Number(fields[12])) : 0;
  } catch {
    return 0;
  }
}

const items = await chosenItems();
if (items.length === 0) throw new Error("the source holds no such image");
say({ ready: true, items: items.length });

let taken = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") {
    say({ peakRssMiB: process.resourceUsage().maxRSS / 1024 });
    continue;
  }
  const count = Number(line);
  const began = processorMs();
  for (let image = 0; image < count; image++, taken++) {
    const decoded = await source.read(items[taken % items.length]!);
    if (shape.crop !== undefined) augment(decoded, (view) => randomFor("bench", taken, view));
  }
  // One figure for all: ticks are too coarse for one image.
  say({ stepMs: [(processorMs() - began) / count] });
}
await source.close();
