import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "../data-settings.js";
import { listItems } from "../list-items.js";
import { nameHash } from "../name-hash.js";
import type { FoundItem, ImageSource, SourceFile } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { toRas } from "./orientation.js";
import { unreadableAs } from "./read-volume.js";
import { readStack } from "./series.js";
import { readStacks } from "./series-stacks.js";
import { type MadeSlice, madeSlice } from "./testing/made-series.js";
import type { Volume } from "./volume.js";
import { dicomFiles } from "./volume-files.js";
import { volumeSource } from "./volume-source.js";

const folder = temporaryFolder();
const hash = nameHash("secret of a test");
const [columns, rows, count] = [20, 24, 6];

/** Each voxel says where it is: column + 100 row + 2400 slice. */
function voxelsOf(slice: number): Int16Array {
  return Int16Array.from(
    { length: columns * rows },
    (_, i) => (i % columns) + 100 * Math.floor(i / columns) + 2400 * slice,
  );
}

/** A series whose normal is turned by 30° about x, 2.5 mm from slice to slice, named in no order. */
const [cos, sin] = [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6)];
const orientation = [1, 0, 0, 0, cos, sin];
const positionOf = (slice: number): readonly number[] => [-10, -20 - sin * 2.5 * slice, 30 + cos * 2.5 * slice];

async function putSeries(
  change: (slice: number) => Partial<MadeSlice> | undefined = () => ({}),
  place = "ct",
): Promise<void> {
  for (let slice = 0; slice < count; slice++) {
    const changed = change(slice);
    if (changed === undefined) continue;
    const usual = {
      columns,
      rows,
      voxels: voxelsOf(slice),
      position: positionOf(slice),
      orientation,
      spacing: [0.8, 0.5],
    } as const;
    await put(folder(), `${place}/${(slice * 5) % 7}.dcm`, madeSlice({ ...usual, instance: slice + 1, ...changed }));
  }
}

const settings = (over: object = {}) => dataSettingsSchema.parse({ source: "volume", path: folder(), ...over });

async function volumes(place = "ct", over: object = {}): Promise<readonly Volume[]> {
  const options = { settings: settings(over), hash };
  return unreadableAs(place, async () => {
    const stacks = await readStacks(await dicomFiles(folder(), place), options);
    return Promise.all(stacks.map((stack) => readStack(stack, options)));
  });
}

const open = (over: object = {}): ImageSource =>
  volumeSource({ settings: settings(over), nameKey: "secret of a test", imageSize: 16 });

async function foundIn(source: ImageSource): Promise<FoundItem[]> {
  const files: SourceFile[] = [];
  for await (const file of source.files()) files.push(file);
  return (await Promise.all(files.map((file) => source.items(file)))).flat();
}

function expectWhole(volume: Volume): void {
  expect(volume).toMatchObject({ format: "dicom-series", modality: "CT", dims: [columns, rows, count] });
  for (let slice = 0; slice < count; slice++) {
    const found = volume.data.subarray(slice * columns * rows, (slice + 1) * columns * rows);
    expect([...found]).toEqual([...voxelsOf(slice)]);
  }
  // LPS to RAS turns the signs of the first two rows.
  const expected = [
    [-0.5, 0, 0, 10],
    [0, -cos * 0.8, sin * 2.5, 20],
    [0, sin * 0.8, cos * 2.5, 30],
  ];
  for (const [row, values] of expected.entries()) {
    for (const [column, value] of values.entries()) expect(volume.affine[row]![column]).toBeCloseTo(value, 6);
  }
  for (const [axis, value] of [0.5, 0.8, 2.5].entries()) expect(volume.spacing[axis]).toBeCloseTo(value, 6);
}

describe("series of DICOM files", () => {
  it("puts slices in the order of their positions, with the spacing between these", async () => {
    await putSeries(() => ({ window: [40, 400] }));
    const [volume, ...others] = await volumes();
    expect(others).toEqual([]);
    expectWhole(volume!);
    expect(volume!.window).toEqual([-160, 240]);
    expect(toRas(volume!).affine.map((row, axis) => Math.sign(row[axis]!))).toEqual([1, 1, 1]);
  });

  it("reads the frames of an enhanced object", async () => {
    const order = [3, 0, 5, 1, 4, 2];
    const voxels = Int16Array.from(order.flatMap((slice) => [...voxelsOf(slice)]));
    const framePositions = order.map(positionOf);
    await put(
      folder(),
      "ct/a.dcm",
      madeSlice({ columns, rows, voxels, framePositions, orientation, spacing: [0.8, 0.5] }),
    );
    expectWhole((await volumes())[0]!);
  });

  it("takes the first of several slices at one place", async () => {
    await putSeries();
    for (let slice = 0; slice < count; slice++) {
      const later = { columns, rows, voxels: new Int16Array(columns * rows), position: positionOf(slice), orientation };
      await put(
        folder(),
        `ct/0-later-${slice}.dcm`,
        madeSlice({ ...later, instance: 100 + slice, spacing: [0.8, 0.5] }),
      );
    }
    expectWhole((await volumes())[0]!);
  });

  it("applies each slice's slope and intercept, and no window that slices do not share", async () => {
    await putSeries((slice) => ({ intercept: -1024, slope: 2, window: [slice, 100] }));
    const [volume] = await volumes();
    expect(volume!.data[1]).toBe(-1022);
    expect(volume!.window).toBeUndefined();
  });

  it("keeps a scout apart from the scan", async () => {
    await putSeries();
    const scout = { columns, rows, voxels: voxelsOf(0), position: [0, 0, 0], orientation: [0, 1, 0, 0, 0, -1] };
    await put(folder(), "ct/scout.dcm", madeSlice(scout));
    const found = await volumes();
    expect(new Set(found.map(({ dims }) => dims[2]))).toEqual(new Set([1, 6]));
  });

  it.each([
    ["a slice is missing", (slice: number) => (slice === 3 ? undefined : {}), /missing/],
    ["distances are uneven", (slice: number) => ({ position: positionOf(slice === 5 ? 5.4 : slice) }), /uneven/],
    ["the orientation is none", () => ({ orientation: [1, 0, 0, 1, 0, 0] }), /orientation/],
  ] as const)("refuses a series when %s", async (_, change, message) => {
    await putSeries(change);
    await expect(volumes()).rejects.toMatchObject({ reason: "damaged", message: expect.stringMatching(message) });
  });

  it("refuses what may not be taken, holds no place, or is too large", async () => {
    await putSeries(() => ({ modality: "US" }), "us");
    await putSeries(() => ({ burnedIn: true }), "burned");
    await put(folder(), "nowhere/a.dcm", madeSlice({ columns, rows, voxels: voxelsOf(0) }));
    await put(folder(), "text/README", "text");
    await put(folder(), "text.dcm", "text");
    await putSeries();
    await expect(volumes("us")).rejects.toMatchObject({ reason: "modality-excluded" });
    await expect(volumes("burned")).rejects.toMatchObject({ reason: "burned-in" });
    expect((await volumes("burned", { dicom: { allowBurnedIn: true } })).length).toBe(1);
    await expect(volumes("nowhere")).rejects.toMatchObject({ reason: "unsupported-pixels" });
    await expect(volumes("text")).rejects.toMatchObject({ reason: "no-pixels" });
    await expect(volumes("text.dcm")).rejects.toMatchObject({ reason: "unsupported-format" });
    await expect(volumes("gone")).rejects.toMatchObject({ reason: "missing" });
    await expect(volumes("ct", { maxPixels: 2000 })).rejects.toMatchObject({ reason: "too-many-pixels" });
  });
});

describe("volumeSource of series", () => {
  it("lists a folder as one file and names slices by a hash of their series", async () => {
    await putSeries();
    await putSeries(() => ({ series: "9.8", patient: "other", modality: "MR" }), "more/mr");
    const items = await foundIn(open());
    const names = items.map(({ id }) => /^(ct|more\/mr)\/\/([0-9a-f]{16}):axial:(\d)$/.exec(id)!.slice(1));
    expect(new Set(names.map(([place]) => place))).toEqual(new Set(["ct", "more/mr"]));
    expect(new Set(items.map(({ group }) => group))).toEqual(new Set([hash("patient"), hash("other")]));
    expect(items[0]).toMatchObject({
      facts: { format: "dicom-series", modality: "CT", width: columns, height: rows },
      attributes: { modality: "CT" },
    });
    expect(JSON.stringify(items)).not.toMatch(/patient|other|1\.2\.3|9\.8/);
  });

  it("reads a slice with square pixels, also in a source that has not listed it", async () => {
    await putSeries();
    const item = (await listItems(open())).at(-1)!;
    const image = await open().read(item);
    expect(image).toMatchObject({ width: 20, height: 38 });
    expect(image.spacing!.x).toBeCloseTo(0.5);
  });

  it("changes the stamp with any of the files", async () => {
    await putSeries();
    const before = (await listItems(open()))[0]!.stamp;
    await putSeries((slice) => (slice === 2 ? { window: [1, 2] } : undefined));
    expect((await listItems(open()))[0]!.stamp).not.toBe(before);
  });
});

const images = fileURLToPath(new URL("../../../../../shared/data/volumes", import.meta.url));

const headCt = [
  [256, 256, 32],
  [100, 256, -964],
  [300, 150, -11],
  [256, 60, -1024],
  [200, 330, 33],
  [10, 10, -3040],
] as const;

describe.skipIf(!existsSync(images))(
  "real DICOM (skipped where the folder shared/data is not beside the repository)",
  () => {
    it("reads the head CT in Hounsfield units, once for its two encodings", async () => {
      await mkdir(join(folder(), "ct"));
      for (const name of ["CT_CQ500_693_explicitLE.dcm", "CT_CQ500_693_j2k_lossless.dcm"]) {
        await copyFile(join(images, "dicom", name), join(folder(), "ct", name));
      }
      const [volume] = await volumes();
      expect(volume!.dims).toEqual([512, 512, 1]);
      expect(volume!.spacing[0]).toBeCloseTo(0.478516, 6);
      // Values by pydicom: pixel_array × slope + intercept.
      for (const [x, y, value] of headCt) expect(volume!.data[x + 512 * y]).toBe(value);
    });

    it("says of frames without a place why they make no volume", async () => {
      await mkdir(join(folder(), "mr"));
      await copyFile(join(images, "dicom/MR_heart_16frames_8bit.dcm"), join(folder(), "mr/a.dcm"));
      await expect(volumes("mr")).rejects.toMatchObject({ reason: "unsupported-pixels" });
    });
  },
);
