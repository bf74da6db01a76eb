import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dataSettingsSchema } from "./data-settings.js";
import { dicomBytes, imageElements } from "./dicom/test-dicom.js";
import { ImageCounter } from "./image-counter.js";

const builtThread = fileURLToPath(new URL("../../dist/data/count-images-thread.js", import.meta.url));

let folder: string;
beforeEach(async () => {
  if (!existsSync(builtThread)) throw new Error("run `npm run build` first: this test starts the built thread");
  folder = await mkdtemp(join(tmpdir(), "image-counter-"));
});
afterEach(() => rm(folder, { recursive: true }));

const object = dicomBytes(imageElements(8, 8, new Uint8Array(64)));

function counterOf(source: string, threadEntry = pathToFileURL(builtThread)): ImageCounter {
  const settings = dataSettingsSchema.parse({ source, path: folder, indexPath: join(folder, ".index", "i.sqlite") });
  return new ImageCounter({ settings, now: () => 0, threadEntry });
}

describe("ImageCounter", () => {
  it("counts again what has come, in a thread", async () => {
    await writeFile(join(folder, "a.dcm"), object);
    const counter = counterOf("dicom");
    expect(await Promise.all([counter.count(), counter.count()])).toEqual([1, 1]);
    await writeFile(join(folder, "b.dcm"), object);
    expect(await counter.count()).toBe(2);
  });

  it("says what the thread found wrong, and tries again", async () => {
    const counter = counterOf("dicom");
    await expect(counter.count()).rejects.toMatchObject({ code: "not-enough-data" });
    await writeFile(join(folder, "a.dcm"), object);
    expect(await counter.count()).toBe(1);
  });

  it("does not wait for a thread that ends without a word", async () => {
    const silent = join(folder, "silent.mjs");
    await writeFile(silent, "");
    await expect(counterOf("dicom", pathToFileURL(silent)).count()).rejects.toMatchObject({ code: "internal" });
  });
});
