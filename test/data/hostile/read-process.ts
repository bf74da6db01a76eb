import { ConsiliumError } from "@consilium/shared/errors.js";
import { type DataSettings, dataSettingsSchema } from "../../../site-agent/src/data/data-settings.js";
import { openSource } from "../../../site-agent/src/data/open-source.js";
import { slideSource } from "../../../site-agent/src/data/slide/slide-source.js";
import { openSlideFromSources } from "../../../site-agent/src/data/slide/test-slides.js";
import { type ImageSource, type SourceFile, UnreadableImage } from "../../../site-agent/src/data/source.js";

/**
 * Entry: reads everything below a folder and says of each file, before it is opened and after, what becomes of it.
 *     read-process.ts SETTINGS
 */
export type Said =
  | { readonly type: "opening"; readonly id: string }
  | { readonly type: "done"; readonly id: string; readonly outcome: string; readonly cpuMilliseconds: number }
  | { readonly type: "end"; readonly peakBytes: number };

/** Images of one file that are read; the others differ in their place only. */
const imagesOfFile = 3;

const settings = dataSettingsSchema.parse(JSON.parse(process.argv[2]!));
const source = open(settings);
for await (const file of source.files()) {
  say({ type: "opening", id: file.id });
  const before = process.cpuUsage();
  const outcome = await outcomeOf(file);
  const { user, system } = process.cpuUsage(before);
  say({ type: "done", id: file.id, outcome, cpuMilliseconds: (user + system) / 1000 });
}
await source.close();
say({ type: "end", peakBytes: process.resourceUsage().maxRSS * 1024 });

function open(chosen: DataSettings): ImageSource {
  if (chosen.source === "slide") return slideSource({ settings: chosen, openSlide: openSlideFromSources() });
  return openSource({ settings: chosen, imageSize: 32 });
}

async function outcomeOf(file: SourceFile): Promise<string> {
  try {
    for (const item of (await source.items(file)).slice(0, imagesOfFile)) await source.read(item);
    return "read";
  } catch (thrown) {
    if (thrown instanceof UnreadableImage) return thrown.reason;
    if (thrown instanceof ConsiliumError) return "place";
    throw thrown;
  }
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
