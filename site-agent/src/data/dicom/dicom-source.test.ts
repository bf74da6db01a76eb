import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DataSettings, dataSettingsSchema } from "../data-settings.js";
import type { FoundItem, ImageSource, SourceFile } from "../source.js";
import { put } from "../test-images.js";
import { dicomSource } from "./dicom-source.js";
import { bits, dicomBytes, imageElements, type TestElements } from "./test-dicom.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dicom-source-"));
});
afterEach(() => rm(folder, { recursive: true }));

function open(settings: Record<string, unknown> = {}, nameKey = "key", workingSize = 64): ImageSource {
  return dicomSource({
    settings: dataSettingsSchema.parse({ source: "dicom", path: folder, ...settings }),
    nameKey,
    workingSize,
  });
}

async function files(source: ImageSource): Promise<SourceFile[]> {
  const found: SourceFile[] = [];
  for await (const file of source.files()) found.push(file);
  return found;
}

async function itemsOf(source: ImageSource, id: string): Promise<readonly FoundItem[]> {
  return source.items((await files(source)).find((file) => file.id === id)!);
}

const ramp = (columns: number, rows: number): Uint8Array =>
  Uint8Array.from({ length: columns * rows }, (_, i) => i % columns);
const grey = (over: TestElements = {}): Buffer => dicomBytes(imageElements(100, 80, ramp(100, 80), over));

describe("dicomSource", () => {
  it("lists files by their names, in stable order", async () => {
    const names = [
      "b.dcm",
      "a.DICOM",
      "c/1.2.840.9",
      "c/IM0001",
      "d.ima",
      "e.jpg",
      "f.json",
      "labels.txt",
      ".hidden",
      "DICOMDIR",
    ];
    for (const name of names) await put(folder, name, grey());
    expect((await files(open())).map(({ id }) => id)).toEqual(["a.DICOM", "b.dcm", "c/1.2.840.9", "c/IM0001", "d.ima"]);
  });

  it("says what an image is, without naming the patient", async () => {
    await put(folder, "a.dcm", grey({ "00080070": ["LO", "Maker\u0007 Inc."], "00081090": ["LO", "X-1"] }));
    const [item] = await itemsOf(open(), "a.dcm");
    expect(item).toEqual({
      id: "a.dcm",
      stamp: expect.any(String),
      group: expect.stringMatching(/^[0-9a-f]{16}$/),
      attributes: { modality: "CR", manufacturer: "Maker Inc.", model: "X-1" },
      facts: { format: "dicom", width: 100, height: 80, modality: "CR", transferSyntax: "1.2.840.10008.1.2.1" },
    });
    expect(JSON.stringify(item)).not.toMatch(/4711|Doe|1\.2\.3\.4/);
  });

  it("groups by patient, differently at each site", async () => {
    await put(folder, "a.dcm", grey());
    await put(folder, "b.dcm", grey());
    await put(folder, "c.dcm", grey({ "00100020": ["LO", "another"] }));
    await put(folder, "d.dcm", grey({ "00100020": ["LO", ""] }));
    const groups = async (key: string) =>
      Promise.all(["a", "b", "c", "d"].map(async (name) => (await itemsOf(open({}, key), `${name}.dcm`))[0]!.group));
    const [a, b, c, d] = await groups("one");
    expect(a).toBe(b);
    expect(a).not.toBe(c);
    expect(d).toBeUndefined();
    expect((await groups("two"))[0]).not.toBe(a);
  });

  it("prefers what the labels file says, and takes only the files that it names", async () => {
    for (const name of ["a.dcm", "b.dcm"]) await put(folder, name, grey());
    await put(folder, "labels.csv", "file,label,group,site,modality\na.dcm,ill,p7,north,DX\n");
    const source = open({ columns: { attributes: ["site", "modality"] } });
    expect((await files(source)).map(({ id }) => id)).toEqual(["a.dcm"]);
    expect((await itemsOf(source, "a.dcm"))[0]).toMatchObject({
      label: "ill",
      group: "p7",
      attributes: { site: "north", modality: "DX" },
    });
  });

  it.each([
    ["no-pixels", { "7fe00010": undefined }, {}],
    ["modality-excluded", { "00080060": ["CS", "US"] }, {}],
    ["modality-excluded", { "00080060": ["CS", ""] }, {}],
    ["modality-excluded", {}, { dicom: { modalities: ["MG"] } }],
    ["burned-in", { "00280301": ["CS", "YES"] }, {}],
  ] as readonly (readonly [string, TestElements, Partial<Record<keyof DataSettings, unknown>>])[])(
    "leaves out what is %s",
    async (reason, over, settings) => {
      await put(folder, "a.dcm", grey(over));
      await expect(itemsOf(open(settings), "a.dcm")).rejects.toMatchObject({ reason });
    },
  );

  it("takes burned-in names where the settings allow it", async () => {
    await put(folder, "a.dcm", grey({ "00280301": ["CS", "YES"] }));
    await expect(itemsOf(open({ dicom: { allowBurnedIn: true } }), "a.dcm")).resolves.toHaveLength(1);
  });

  it("gives a windowed image of the working size with its spacing", async () => {
    await put(folder, "a.dcm", grey({ "00280030": ["DS", "0.2\\0.1"] }));
    const source = open({}, "key", 40);
    const [item] = await itemsOf(source, "a.dcm");
    const image = await source.read(item!);
    expect(image).toMatchObject({ width: 50, height: 40, spacing: { x: 0.2, y: 0.4 } });
    expect(image.data.length).toBe(50 * 40 * 3);
    expect([image.data[0], image.data[1], image.data.at(-1)]).toEqual([
      expect.closeTo(1, -1),
      image.data[0],
      expect.closeTo(254, -1),
    ]);
    const small = await open({}, "key", 500).read(item!);
    expect([small.width, small.height, small.data[3]]).toEqual([100, 80, 3]);
  });

  it("takes the window of the settings", async () => {
    await put(folder, "a.dcm", grey());
    const source = open({ dicom: { window: [50, 51] } }, "key", 500);
    const [item] = await itemsOf(source, "a.dcm");
    expect(new Set((await source.read(item!)).data)).toEqual(new Set([0, 255]));
  });

  it("takes names with any sign in them", async () => {
    for (const name of ["scan #1.dcm", "#.dcm", "a#f0.dcm"]) {
      await put(folder, name, grey());
      const source = open();
      const [item] = await itemsOf(source, name);
      expect((await source.read(item!)).height).toBe(64);
    }
  });

  it("gives every frame as an image", async () => {
    const frames = Uint8Array.from([...new Array<number>(16).fill(1), ...new Array<number>(16).fill(2)]);
    await put(folder, "m.dcm", dicomBytes(imageElements(4, 4, frames, { "00280008": ["IS", "2"] })));
    const source = open({ dicom: { window: [0, 2] } });
    const items = await itemsOf(source, "m.dcm");
    expect(items.map(({ id }) => id)).toEqual(["m.dcm//f0", "m.dcm//f1"]);
    const shades = await Promise.all(items.map(async (item) => (await source.read(item)).data[0]));
    expect(shades).toEqual([128, 255]);
  });

  it("parses a file anew when it has changed", async () => {
    await put(folder, "a.dcm", grey());
    const source = open();
    const [before] = await itemsOf(source, "a.dcm");
    await source.read(before!);
    await put(
      folder,
      "a.dcm",
      dicomBytes(imageElements(3, 2, new Uint8Array(Uint16Array.of(1, 2, 3, 4, 5, 6).buffer), bits(16, 16))),
    );
    const [after] = await itemsOf(source, "a.dcm");
    expect(await source.read(after!)).toMatchObject({ width: 3, height: 2 });
  });

  it("says why a file cannot be read, and nothing of what is in it", async () => {
    await put(folder, "text", "a letter");
    await put(folder, "a.dcm", grey().subarray(0, 2000));
    const source = open();
    for (const [id, reason] of [
      ["text", "unsupported-format"],
      ["a.dcm", "truncated"],
    ] as const) {
      const failure = await itemsOf(source, id).catch((thrown: unknown) => thrown);
      expect(failure).toMatchObject({ reason });
      expect(String(failure)).not.toMatch(/4711|Doe|1\.2\.3\.4/);
    }
    const gone = { id: "gone.dcm", stamp: "" };
    await expect(source.read(gone)).rejects.toMatchObject({ reason: "missing" });
  });
});
