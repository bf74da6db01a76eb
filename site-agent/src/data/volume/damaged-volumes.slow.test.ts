import { gzipSync } from "node:zlib";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "../data-settings.js";
import { isExclusion, UnreadableImage } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { ball, madeNifti, madeNrrd } from "./testing/made-volumes.js";
import { volumeSource } from "./volume-source.js";

const folder = temporaryFolder();
const flips = 250;

const dims = [16, 16, 4] as const;
const nifti = madeNifti({ dims, datatype: [4, 16], voxels: ball(...dims), slope: 1.5 });
const text = Buffer.from(Array.from({ length: 1024 }, (_, index) => (index * 37) % 101).join(" "));
const formats: readonly [name: string, bytes: Buffer][] = [
  ["a.nii", nifti],
  ["a.nii.gz", gzipSync(nifti)],
  ["a.nrrd", madeNrrd({ fields: { type: "short", sizes: dims.join(" ") }, voxels: ball(...dims) })],
  ["b.nrrd", madeNrrd({ fields: { type: "short", sizes: dims.join(" "), encoding: "gzip" }, voxels: ball(...dims) })],
  ["c.nrrd", madeNrrd({ fields: { type: "float", sizes: dims.join(" "), encoding: "ascii" }, voxels: text })],
];

describe("damaged volumes", () => {
  /** Three quarters of the flips hit the header, where they do more. */
  it.each(formats)(
    `%s with ${flips} single bits flipped is read or refused, nothing else`,
    { timeout: 120_000 },
    async (name, bytes) => {
      const random = randomFor("bit flips", name);
      const settings = dataSettingsSchema.parse({ source: "volume", path: folder(), maxPixels: 10_000_000 });
      const reasons = new Map<string, number>();
      let slowest = 0;
      for (let round = 0; round < flips; round++) {
        const copy = Buffer.from(bytes);
        const place = random.integer(round % 4 === 0 ? copy.length : Math.min(copy.length, 352));
        copy[place]! ^= 1 << random.integer(8);
        await put(folder(), name, copy);
        const began = performance.now();
        const outcome = await readAll(volumeSource({ settings, nameKey: "key", imageSize: 16 }), name);
        slowest = Math.max(slowest, performance.now() - began);
        reasons.set(outcome, (reasons.get(outcome) ?? 0) + 1);
      }
      expect(slowest).toBeLessThan(10_000);
      expect(reasons.get("read") ?? 0).toBeGreaterThan(0);
      expect(reasons.get("read") ?? 0).toBeLessThan(flips);
      expect(process.memoryUsage().rss).toBeLessThan(1024 ** 3);
    },
  );

  it.each(formats)("%s cut anywhere is refused", async (name, bytes) => {
    const settings = dataSettingsSchema.parse({ source: "volume", path: folder() });
    for (let part = 0; part < 24; part++) {
      await put(folder(), name, bytes.subarray(0, Math.floor((bytes.length * part) / 24)));
      const outcome = await readAll(volumeSource({ settings, nameKey: "key", imageSize: 16 }), name);
      expect(["empty", "unsupported-format", "truncated", "damaged"]).toContain(outcome);
    }
  });
});

/** @returns "read", or the reason why not; what is no UnreadableImage is thrown */
async function readAll(source: ReturnType<typeof volumeSource>, id: string): Promise<string> {
  try {
    for (const item of await source.items({ id, stamp: "1" })) await source.read(item);
    return "read";
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    return isExclusion(thrown.reason) ? "excluded" : thrown.reason;
  }
}
