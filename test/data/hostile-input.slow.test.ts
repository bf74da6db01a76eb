import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SourceKind } from "@consilium/site-agent/data/data-settings.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { corpus } from "./hostile/corpus.js";
import { placeFiles, readFolder, surprises } from "./hostile/reading.js";

/** A small part of what hostile-input-full.ts reads. */
const scale = { flips: 40, cuts: 12, bombPixels: 40_000_000 };

describe("hostile files", () => {
  let root: string;
  let placed: Awaited<ReturnType<typeof placeFiles>>;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "consilium-hostile-"));
    placed = await placeFiles(root, corpus(scale));
  }, 60_000);
  afterAll(() => rm(root, { recursive: true, force: true }));

  it.each<SourceKind>(["folder", "dicom", "volume", "slide"])(
    "of a %s are read or refused under their reason, in bounded time and memory",
    { timeout: 120_000 },
    async (source) => {
      const reading = await readFolder({ source, path: join(root, source) });
      expect(surprises(placed.get(source)!, reading)).toEqual([]);
      expect(reading.slowestMilliseconds).toBeLessThan(10_000);
      expect(reading.peakBytes).toBeLessThan(1024 ** 3);
    },
  );
});
