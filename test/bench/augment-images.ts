import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Random, randomFor } from "@consilium/shared/random.js";
import sharp, { type Sharp } from "sharp";

/** JPEG files to measure on: as large as a camera's or dermatoscope's pictures are kept, and as smooth. */

const side = 1024;
const jpeg = { quality: 90 };
/** Patches of colour across a drawn picture, and the deviation of its grain in levels. */
const patches = 24;
const grain = 5;

export interface PutImages {
  readonly folder: string;
  readonly count: number;
  /** Images to enlarge; absent: drawn ones. */
  readonly from?: string;
}

/** Writes `count` JPEG files of 1024 × 1024 pixels. @throws Error when `from` holds no image */
export async function putImages({ folder, count, from }: PutImages): Promise<void> {
  await mkdir(folder, { recursive: true });
  const sources = from === undefined ? undefined : await imagesIn(from);
  for (let index = 0; index < count; index++) {
    const picture =
      sources === undefined
        ? await drawn(randomFor("augment-bench", index))
        : sharp(sources[index % sources.length]!).resize(side, side, { fit: "fill", kernel: "cubic" });
    await picture.jpeg(jpeg).toFile(join(folder, `${String(index).padStart(3, "0")}.jpg`));
  }
}

async function imagesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /\.(jpe?g|png|tiff?|webp)$/i.test(name)).sort();
  if (names.length === 0) throw new Error(`--data ${folder}: holds no image`);
  return names.map((name) => join(folder, name));
}

/** Soft patches of colour under fine grain. */
async function drawn(random: Random): Promise<Sharp> {
  const colours = Uint8Array.from({ length: patches * patches * 3 }, () => 40 + random.integer(180));
  const pixels = await sharp(colours, { raw: { width: patches, height: patches, channels: 3 } })
    .resize(side, side, { kernel: "cubic" })
    .raw()
    .toBuffer();
  const grainy = Uint8ClampedArray.from(pixels, (level) => level + grain * random.normal());
  return sharp(grainy, { raw: { width: side, height: side, channels: 3 } }).blur(0.7);
}
