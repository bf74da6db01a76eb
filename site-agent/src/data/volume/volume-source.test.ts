import { symlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type DataSettings, dataSettingsSchema } from "../data-settings.js";
import { listItems } from "../list-items.js";
import type { FoundItem, ImageSource, SourceFile } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { ball, type MadeNifti, madeNifti, madeNrrd } from "./testing/made-volumes.js";
import { volumeSource } from "./volume-source.js";

const folder = temporaryFolder();

function open(settings: object = {}): ImageSource {
  const parsed: DataSettings = dataSettingsSchema.parse({ source: "volume", path: folder(), ...settings });
  return volumeSource({ settings: parsed, nameKey: "secret of a test", imageSize: 16 });
}

const putBall = (id: string, made: MadeNifti = {}): Promise<void> => {
  const bytes = madeNifti({ dims: [20, 30, 40], datatype: [4, 16], voxels: ball(20, 30, 40), ...made });
  return put(folder(), id, id.endsWith(".gz") ? gzipSync(bytes) : bytes);
};

async function filesOf(source: ImageSource): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for await (const file of source.files()) files.push(file);
  return files;
}

async function foundIn(source: ImageSource): Promise<FoundItem[]> {
  return (await Promise.all((await filesOf(source)).map((file) => source.items(file)))).flat();
}

describe("volumeSource", () => {
  it("lists volumes at any depth in order, and nothing else", async () => {
    for (const id of [
      "b.nii.gz",
      "a/b.nii",
      "a/c.nrrd",
      "d.nhdr",
      "d.raw",
      "notes.txt",
      "a/photo.jpg",
      ".hidden.nii",
    ]) {
      await put(folder(), id, "x");
    }
    await symlink(folder(), join(folder(), "a/circle"));
    expect((await filesOf(open())).map(({ id }) => id)).toEqual(["a/b.nii", "a/c.nrrd", "b.nii.gz", "d.nhdr"]);
  });

  it("finds the slices with enough foreground, every so many, with one group", async () => {
    await putBall("a.nii.gz");
    const items = await foundIn(open({ volume: { minForeground: 0.3 } }));
    const indices = items.map(({ id }) => Number(/^a\.nii\.gz\/\/axial:(\d+)$/.exec(id)![1]));
    expect(indices[0]).toBeGreaterThan(4);
    expect(indices.at(-1)).toBeLessThan(36);
    expect(indices).toEqual(indices.map((_, index) => indices[0]! + index));
    expect(new Set(items.map(({ group }) => group)).size).toBe(1);
    expect(items[0]).toMatchObject({ facts: { format: "nifti", width: 20, height: 30 } });
    expect(items[0]!.group).toMatch(/^unnamed [0-9a-f]{16}$/);
    const some = await foundIn(open({ volume: { minForeground: 0.3, step: 5 } }));
    expect(some.every(({ id }) => Number(id.split(":")[1]) % 5 === 0)).toBe(true);
    expect(some.length).toBe(indices.filter((index) => index % 5 === 0).length);
  });

  it("reads slices of each plane with square pixels", async () => {
    await putBall("a.nii", { pixdim: [1, 2, 2, 4] });
    const sides = { axial: [20, 30], coronal: [20, 80], sagittal: [30, 80], acquired: [20, 30] } as const;
    for (const [plane, [width, height]] of Object.entries(sides)) {
      const source = open({ volume: { plane } });
      const item = (await listItems(source))[3]!;
      expect(item.id).toContain(`//${plane}:`);
      const image = await source.read(item);
      expect(image).toMatchObject({ width, height, spacing: { x: 2, y: 2 } });
      expect(image.data.length).toBe(width * height * 3);
    }
  });

  it("shows the settings' window", async () => {
    await putBall("a.nii");
    const read = async (window?: [number, number]) => {
      const source = open({ volume: window === undefined ? {} : { window } });
      return source.read((await listItems(source))[10]!);
    };
    const [usual, dark] = [await read(), await read([0, 10_000])];
    expect(Math.max(...usual.data)).toBeGreaterThan(200);
    expect(Math.max(...dark.data)).toBeLessThan(60);
  });

  it("takes group, label and split from the labels file", async () => {
    await putBall("a.nii");
    await putBall("b.nii");
    await put(folder(), "labels.csv", "file,group,label,split\nb.nii,p7,tumour,train\n");
    const items = await foundIn(open({ where: { split: "train" } }));
    expect(new Set(items.map(({ id }) => id.split("//")[0]))).toEqual(new Set(["b.nii"]));
    expect(items[0]).toMatchObject({ group: "p7", label: "tumour", split: "train" });
  });

  it("leaves out label maps, unless the labels file names them", async () => {
    const voxels = new Uint8Array(20 * 30 * 40).map((_, index) => (index % 600 < 200 ? 2 : 0));
    const map = madeNifti({ dims: [20, 30, 40], voxels });
    await put(folder(), "few-values.nii", map);
    await putBall("brain_label.nii");
    await putBall("intent.nii", { intent: 1002 });
    await putBall("labelled-patient.nii");
    const source = open();
    const outcomes = await Promise.allSettled((await filesOf(source)).map((file) => source.items(file)));
    const told = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason.reason : "taken"));
    expect(told).toEqual(["modality-excluded", "modality-excluded", "modality-excluded", "taken"]);
    await put(folder(), "labels.csv", "file\nfew-values.nii\n");
    expect((await foundIn(open())).length).toBe(40);
  });

  it("changes the stamp with the file, and that of a detached header with its voxels", async () => {
    await putBall("a.nii");
    await put(folder(), "d.nhdr", madeNrrd({ fields: { "data file": "d.raw" } }));
    await put(folder(), "d.raw", new Uint8Array(120));
    const before = await filesOf(open());
    await utimes(join(folder(), "d.raw"), 1, 1);
    await utimes(join(folder(), "a.nii"), 1, 1);
    const after = await filesOf(open());
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    for (const [index, { stamp }] of after.entries()) expect(stamp).not.toBe(before[index]!.stamp);
  });

  it.each([
    ["slices of few voxels", { dims: [10, 30, 40], voxels: ball(10, 30, 40) }, "too-small"],
    ["no contrast", { voxels: new Uint8Array(48_000) }, "no-tissue"],
    ["no foreground", { voxels: oneSpot(), slope: 0.5 }, "no-tissue"],
    ["cut voxels", { voxels: new Uint8Array(47_999) }, "truncated"],
  ] as const)("says of a volume with %s why it is not taken", async (_, made, reason) => {
    await putBall("a.nii", made);
    const source = open();
    await expect(source.items((await filesOf(source))[0]!)).rejects.toMatchObject({ reason });
  });

  it("tells slices that are not there, and volumes that are gone", async () => {
    await putBall("a.nii");
    const source = open();
    for (const id of [
      "a.nii//axial:40",
      "a.nii//coronal:1",
      "a.nii",
      "a.nii//axial:x",
      "a.nii//0123abcd:axial:1",
      "b.nii//axial:1",
    ]) {
      await expect(source.read({ id, stamp: "1" })).rejects.toMatchObject({ reason: "missing" });
    }
  });
});

function oneSpot(): Uint8Array {
  const voxels = new Uint8Array(48_000);
  voxels[20_000] = 255;
  return voxels;
}
