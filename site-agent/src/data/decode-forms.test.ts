import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeFile } from "./decode.js";
import { temporaryFolder } from "./test-folders.js";
import { pattern, put } from "./test-images.js";
import { pictures } from "./testing/made-pictures.js";

/** Against what Pillow makes of the same files (testing/reference_pictures.py). */

interface Reference {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue as hexadecimal digits. */
  readonly pixels: string;
}

const folder = temporaryFolder();
const limits = { maxPixels: 100_000_000, maxFileBytes: 100_000_000 };
const { pictures: references } = JSON.parse(
  readFileSync(new URL("testing/reference-pictures.json", import.meta.url), "utf8"),
) as { pictures: Readonly<Record<string, Reference>> };

/** Levels by which pixels may differ. Transparency and profiles are rounded differently; other forms are exact. */
function tolerance(name: string): number {
  if (/alpha|transparent|display-p3/.test(name)) return 1;
  return /cmyk/.test(name) ? 2 : 0;
}

describe("decodeFile", () => {
  it.each(Object.entries(pictures))("reads %s as Pillow does", async (name, make) => {
    await put(folder(), name, await make());
    const image = await decodeFile(join(folder(), name), { id: name, workingSize: 1000, limits });
    const { width, height, pixels } = references[name]!;
    expect([image.width, image.height, image.data.length]).toEqual([width, height, width * height * 3]);
    const expected = Buffer.from(pixels, "hex");
    const difference = image.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    expect(difference).toBeLessThanOrEqual(tolerance(name));
  });

  it("knows every form that the reference knows", () => {
    expect(Object.keys(references).sort()).toEqual(Object.keys(pictures).sort());
  });

  it("reduces large JPEG while it decodes them, in a fraction of the time and memory", {
    timeout: 60_000,
  }, async () => {
    await put(folder(), "large.jpg", pattern(4000, 3000, 3).jpeg({ quality: 90 }));
    const timed = async (workingSize: number): Promise<number> => {
      const began = performance.now();
      await decodeFile(join(folder(), "large.jpg"), { id: "large.jpg", workingSize, limits });
      return performance.now() - began;
    };
    const fastest = async (workingSize: number): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < 4; round++) times.push(await timed(workingSize));
      return Math.min(...times);
    };
    const before = process.memoryUsage().rss;
    const small = await fastest(224);
    // All of its pixels would take 36 MB.
    expect(process.memoryUsage().rss - before).toBeLessThan(30_000_000);
    expect(small).toBeLessThan((await fastest(3000)) / 2);
  });

  it("does not name a file in what it says of it", async () => {
    const name = "Jane-Doe-1970.tif";
    await put(folder(), name, Buffer.concat([Buffer.from("II*\0"), Buffer.alloc(100, 9)]));
    const thrown = await decodeFile(join(folder(), name), { id: "x", workingSize: 10, limits }).catch((error) => error);
    expect(thrown).toMatchObject({ reason: "damaged" });
    expect(thrown.message).not.toMatch(/Jane|Doe|1970/);
  });
});
