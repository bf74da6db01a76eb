import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { nameHash } from "../name-hash.js";
import { type DicomFile, openDicomFile } from "./dicom-file.js";
import { renderFrame } from "./render.js";
import type { Frame } from "./samples.js";

/** What other programs make of the same files; each entry names them. */
interface Reference {
  readonly refused?: string;
  readonly frames: number;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the stored values of the first and last frame, little endian; only for lossless encodings. */
  readonly sha256?: string;
  readonly sha256Last?: string;
  readonly stored: Statistics;
  readonly shown: Statistics;
  /** Row, column, values. */
  readonly samples: readonly (readonly number[])[];
  readonly shownSamples: readonly (readonly number[])[];
}

interface Statistics {
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
}

const root = fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const folders = ["cxr/dicom", "volumes/dicom", "volumes/dicom_misc", "slides/dicom_wsi"];
const isThere = folders.every((folder) => existsSync(join(root, folder)));
const { files } = JSON.parse(await readFile(new URL("reference-values.json", import.meta.url), "utf8")) as {
  files: Record<string, Reference>;
};

const dtypes: Readonly<Record<string, string>> = {
  uint8: "Uint8Array",
  uint16: "Uint16Array",
  int16: "Int16Array",
};

/** Decoders of lossy encodings may round differently: largest and mean difference that is allowed. */
const lossy: Readonly<Record<string, readonly [most: number, mean: number]>> = {
  "1.2.840.10008.1.2.4.50": [3, 0.6],
  "1.2.840.10008.1.2.4.51": [6, 0.5],
  "1.2.840.10008.1.2.4.91": [1, 0.1],
};

let file: DicomFile | undefined;
afterEach(async () => {
  await file?.close();
  file = undefined;
});

async function open(id: string): Promise<DicomFile> {
  const limits = { maxPixels: 1e8, maxFileBytes: 1e8 };
  file = await openDicomFile(join(root, id), { id, limits, hash: nameHash("key") });
  return file;
}

const skipMessage = isThere ? "" : ` (skipped: ${root} is absent)`;

describe.skipIf(!isThere)(`DICOM files against other readers${skipMessage}`, () => {
  it("covers every file that is there", () => {
    const found = folders.flatMap((folder) =>
      readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(".dcm") ? [`${folder}/${name}`] : [])),
    );
    expect(found.sort()).toEqual(Object.keys(files).sort());
  });

  const images = Object.entries(files).filter(([, { refused }]) => refused === undefined);
  it.each(images)("decodes %s to the stored values", async (id, reference) => {
    const { header, ...opened } = await open(id);
    const { pixels } = opened.image();
    expect(pixels.frames).toBe(reference.frames);
    const frame = await opened.frame(0);
    const bands = frame.bands === 1 ? [] : [3];
    expect([frame.rows, frame.columns, ...bands]).toEqual(reference.shape);
    expect(frame.samples.constructor.name).toBe(dtypes[reference.dtype]);
    const tolerance = lossy[header.encoding.uid];
    if (tolerance === undefined) {
      expect(digest(frame)).toBe(reference.sha256);
      if (reference.frames > 1) expect(digest(await opened.frame(reference.frames - 1))).toBe(reference.sha256Last);
    } else {
      expectNear(frame.samples, frame.columns, frame.bands, reference.samples, reference.stored, tolerance);
    }
  });

  it.each(images)("shows %s through its window", async (id, reference) => {
    const opened = await open(id);
    const image = await renderFrame(opened, 0, { id, workingSize: 10_000 });
    const tolerance = lossy[opened.header.encoding.uid] ?? [0, 0.0001];
    const bands = reference.shownSamples[0]!.length - 2;
    const shown = bands === 3 ? image.data : image.data.filter((_, index) => index % 3 === 0);
    expectNear(shown, image.width, bands, reference.shownSamples, reference.shown, tolerance);
  });

  it.each(Object.entries(files).filter(([, { refused }]) => refused !== undefined))("refuses %s", async (id) => {
    const opened = await open(id);
    await expect(opened.frame(0)).rejects.toMatchObject({ reason: "no-pixels" });
  });

  it("gives Hounsfield units of a CT with its place", async () => {
    const opened = await open("volumes/dicom_misc/CT_small.dcm");
    const { values, rows, columns, geometry } = await opened.rescaledFrame(0);
    const { stored, samples } = files["volumes/dicom_misc/CT_small.dcm"]!;
    expect([rows, columns]).toEqual([128, 128]);
    expect(Math.min(...values)).toBe(stored.min - 1024);
    const [y, x, value] = samples[0]!;
    expect(values[y! * columns + x!]).toBe(value! - 1024);
    expect(geometry).toEqual({
      spacing: { x: 0.661468, y: 0.661468 },
      orientation: [1, 0, 0, 0, 1, 0],
      position: [-158.135803, -179.035797, -75.699997],
      sliceThickness: 5,
      sliceSpacing: 5,
    });
  });
});

function digest({ samples }: Frame): string {
  return createHash("sha256")
    .update(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength))
    .digest("hex");
}

function expectNear(
  values: ArrayLike<number>,
  columns: number,
  bands: number,
  samples: readonly (readonly number[])[],
  statistics: Statistics,
  [most, mean]: readonly [number, number],
): void {
  for (const [y, x, ...expected] of samples) {
    for (const [band, value] of expected.entries()) {
      const difference = Math.abs(values[(y! * columns + x!) * bands + band]! - value);
      expect(difference).toBeLessThanOrEqual(most);
    }
  }
  const own = statisticsOf(values);
  expect(Math.abs(own.mean - statistics.mean)).toBeLessThanOrEqual(mean);
  expect(Math.abs(own.std - statistics.std)).toBeLessThanOrEqual(mean);
  expect(Math.abs(own.min - statistics.min)).toBeLessThanOrEqual(most);
  expect(Math.abs(own.max - statistics.max)).toBeLessThanOrEqual(most);
}

function statisticsOf(values: ArrayLike<number>): Statistics {
  let [sum, min, max] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) ** 2;
  return { mean, std: Math.sqrt(squares / values.length), min, max };
}
