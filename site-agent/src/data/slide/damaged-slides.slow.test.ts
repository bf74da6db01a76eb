import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Random, randomFor } from "@consilium/shared/random.js";
import { afterAll, describe, expect, it } from "vitest";
import { UnreadableImage } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { openSlide } from "./open-slide.js";
import type { OpenSlide } from "./openslide-process.js";
import type { Slide, SlideFile } from "./slide.js";
import {
  absentOpenSlide,
  hasOpenSlide,
  hasRealSlides,
  needsOpenSlide,
  needsSlides,
  openSlideFromSources,
  realSlides,
} from "./test-slides.js";
import { tiffOf, tiledImage } from "./test-tiff.js";

const folder = temporaryFolder();
const native = openSlideFromSources();
afterAll(() => native.close());

const flips = 200;

/** Half of the flips go where directories and headers usually are. */
function flipped(original: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(original);
  for (let count = 1 + random.integer(4); count > 0; count--) {
    const places = [random.integer(4096), bytes.length - 1 - random.integer(16_384), random.integer(bytes.length)];
    const at = places[random.integer(4)] ?? places[2]!;
    bytes[at]! ^= 1 << random.integer(8);
  }
  return bytes;
}

/** The coarsest level, bounded, and a piece of each. */
async function readSome(slide: Slide): Promise<void> {
  for (const [level, { width, height, downsample }] of slide.levels.entries()) {
    const corner = { x: Math.floor((width * downsample) / 3), y: Math.floor((height * downsample) / 3) };
    const region = await slide.readRegion({ ...corner, level, width: 200, height: 200 });
    expect(region.data.length).toBe(200 * 200 * 3);
  }
}

/** @returns the reason, or "read" */
async function outcome(file: SlideFile, library: OpenSlide): Promise<string> {
  try {
    const slide = await openSlide(file, { library, maxPixels: 1e8, allowBurnedIn: false });
    try {
      await readSome(slide);
      return "read";
    } finally {
      await slide.close();
    }
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    return thrown.reason;
  }
}

const cases: readonly [string, string, OpenSlide][] = [
  ["SVS with OpenSlide", realSlides.svs, native],
  ["NDPI with OpenSlide", realSlides.ndpi, native],
  ["a TIFF pyramid with OpenSlide", realSlides.pyramid, native],
  ["SVS without OpenSlide", realSlides.svs, absentOpenSlide],
  ["a TIFF pyramid without OpenSlide", realSlides.pyramid, absentOpenSlide],
  ["DICOM", realSlides.dicom, absentOpenSlide],
];

describe.skipIf(!hasRealSlides || !hasOpenSlide)(`damaged slides (${needsSlides}; ${needsOpenSlide})`, () => {
  it.each(cases)(
    `reads or refuses ${flips} variants with changed bits: %s`,
    async (name, path, library) => {
      const original = await readFile(path);
      const file = { id: basename(path), path: join(folder(), basename(path)) };
      const before = process.memoryUsage().rss;
      const outcomes = new Map<string, number>();
      for (let index = 0; index < flips; index++) {
        await writeFile(file.path, flipped(original, randomFor("flips", name, index)));
        const reason = await outcome(file, library);
        outcomes.set(reason, (outcomes.get(reason) ?? 0) + 1);
      }
      expect([...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(flips);
      expect(outcomes.get("read")).toBeGreaterThan(0);
      expect(process.memoryUsage().rss - before).toBeLessThan(600 * 1024 ** 2);
      await expect(outcome({ id: basename(path), path }, library)).resolves.toBe("read");
    },
    150_000,
  );

  const pixels = new Uint8Array(256 * 256 * 3).fill(200);
  const forged = { width: 30_000, height: 30_000, tile: 256 };
  it.each([
    ["a billion pixels along a side", tiffOf([tiledImage({ ...forged, width: 1e9, height: 1e9 })], pixels)],
    ["a billion pixels", tiffOf([tiledImage(forged)], pixels)],
    ["tiles of four billion pixels", tiffOf([tiledImage({ ...forged, tile: 65_536 })], pixels)],
    ["directories in a circle", tiffOf([tiledImage(forged), tiledImage(forged)], pixels, { backTo: 0 })],
  ])("refuses a forged header: %s", async (_, content) => {
    const file = { id: "a.tiff", path: join(folder(), "a.tiff") };
    await writeFile(file.path, content);
    const before = process.memoryUsage().rss;
    for (const library of [native, absentOpenSlide]) {
      expect(["damaged", "truncated", "too-many-pixels"]).toContain(await outcome(file, library));
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 ** 2);
  });

  it.each(cases)("reads or refuses what is cut: %s", async (_, path, library) => {
    const original = await readFile(path);
    const file = { id: basename(path), path: join(folder(), basename(path)) };
    for (const share of [0.001, 0.1, 0.5, 0.9, 0.999]) {
      await writeFile(file.path, original.subarray(0, Math.floor(original.length * share)));
      expect(["read", "damaged", "truncated", "unsupported-format"]).toContain(await outcome(file, library));
    }
  });
});
