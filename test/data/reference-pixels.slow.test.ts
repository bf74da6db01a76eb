import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dataSettingsSchema } from "@consilium/site-agent/data/data-settings.js";
import { folderSource } from "@consilium/site-agent/data/folder-source.js";
import type { RgbImage } from "@consilium/site-agent/data/image.js";
import { listItems } from "@consilium/site-agent/data/list-items.js";
import type { ImageSource, SourceItem } from "@consilium/site-agent/data/source.js";
import { describe, expect, it } from "vitest";

/** Every real photo decodes, to the pixels that Pillow makes of it (reference_pixels.py). */

interface Sample {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of the pixels (i × 7919) mod count, as hexadecimal digits. */
  readonly probes: string;
}

interface Folder {
  readonly images: number;
  readonly sha256: string;
  readonly samples: Readonly<Record<string, Sample>>;
}

const images = fileURLToPath(new URL("../../../shared/data", import.meta.url));
const { folders } = JSON.parse(readFileSync(new URL("reference-pixels.json", import.meta.url), "utf8")) as {
  folders: Readonly<Record<string, Folder>>;
};

/** Decoded side by side, handed on in order. */
async function* decoded(
  source: ImageSource,
  items: readonly SourceItem[],
): AsyncGenerator<readonly [string, RgbImage]> {
  const atOnce = 8;
  for (let start = 0; start < items.length; start += atOnce) {
    const batch = items.slice(start, start + atOnce);
    const read = await Promise.all(batch.map(async (item) => [item.id, await source.read(item)] as const));
    yield* read;
  }
}

function largestDifference({ data, width, height }: RgbImage, { probes }: Sample): number {
  const expected = Buffer.from(probes, "hex");
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const pixel = (Math.floor(i / 3) * 7919) % (width * height);
    largest = Math.max(largest, Math.abs(data[3 * pixel + (i % 3)]! - expected[i]!));
  }
  return largest;
}

describe.skipIf(!existsSync(images))(
  "real photos (skipped where the folder shared/data is not beside the repository)",
  () => {
    it.each(Object.entries(folders))("%s", { timeout: 60_000 }, async (name, folder) => {
      const settings = dataSettingsSchema.parse({ path: join(images, name), workingSize: 100_000 });
      const source = folderSource({ settings, imageSize: 224 });
      const items = await listItems(source);
      expect(items.length).toBe(folder.images);
      const digest = createHash("sha256");
      let compared = 0;
      for await (const [id, image] of decoded(source, items)) {
        digest.update(image.data);
        const sample = folder.samples[id];
        if (sample === undefined) continue;
        compared++;
        expect([image.width, image.height]).toEqual([sample.width, sample.height]);
        expect(largestDifference(image, sample)).toBeLessThanOrEqual(id.endsWith(".png") ? 0 : 3);
      }
      expect(compared).toBe(Object.keys(folder.samples).length);
      expect(digest.digest("hex")).toBe(folder.sha256);
    });
  },
);
