import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkData } from "./check-data.js";
import { type DataSettings, dataSettingsSchema } from "./data-settings.js";
import { pattern, put } from "./test-images.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "check-data-"));
  const image = await pattern(100, 80, 1).png().toBuffer();
  await put(folder, "a.png", image);
  await put(folder, "sub/copy.png", image);
  await put(folder, "b.jpg", pattern(300, 500, 2).jpeg());
  await put(folder, "broken.jpg", "not an image");
  await put(folder, "notes.txt", "hello");
});
afterEach(() => rm(folder, { recursive: true }));

const settings = (over: Partial<DataSettings> = {}): DataSettings =>
  dataSettingsSchema.parse({ path: folder, ...over });

describe("checkData", () => {
  it("says what a folder holds", async () => {
    const progress: number[] = [];
    const report = await checkData({
      settings: settings(),
      batchSize: 2,
      onProgress: (_, done, total) => total !== undefined && progress.push(done / total),
    });
    expect(report).toMatchObject({
      images: 3,
      formats: { jpeg: 1, png: 2 },
      shortSides: { "64 to 223": 2, "224 to 447": 1 },
      labels: {},
      width: { least: 100, most: 300 },
      height: { least: 80, most: 500 },
      unreadable: [{ id: "broken.jpg", reason: "unsupported-format" }],
      unreadableByReason: { "unsupported-format": 1 },
      duplicates: [["a.png", "sub/copy.png"]],
      nearDuplicates: [["a.png", "sub/copy.png"]],
      imagesNotChosen: 0,
      otherFiles: 1,
      stepsPerEpoch: 2,
    });
    expect(Object.keys(report.shortSides)).toEqual(["64 to 223", "224 to 447"]);
    expect(report.groups).toBeUndefined();
    expect(progress).toEqual([1 / 3, 2 / 3, 1]);
  });

  it("counts labels, splits and groups of the chosen rows", async () => {
    const rows = ["file,label,split,group", "a.png,nv,train,p1", "b.jpg,mel,train,p1", "sub/copy.png,nv,test,p2"];
    await put(folder, "labels.csv", rows.join("\n"));
    const report = await checkData({ settings: settings({ where: { split: "train" } }) });
    expect(report).toMatchObject({
      images: 2,
      labels: { mel: 1, nv: 1 },
      splits: { train: 2 },
      groups: 1,
      duplicates: [],
      imagesNotChosen: 2,
      otherFiles: 2,
    });
  });

  it("reports a file that is listed but missing", async () => {
    await put(folder, "labels.csv", "file\na.png\ngone.png\n");
    const report = await checkData({ settings: settings() });
    expect(report.unreadable).toMatchObject([{ id: "gone.png", reason: "missing" }]);
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(checkData({ settings: settings(), signal: stop.signal })).rejects.toMatchObject({
      name: "AbortedError",
    });
  });
});
