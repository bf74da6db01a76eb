import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, describe, expect, it } from "vitest";
import { type DataSettings, dataSettingsSchema } from "../data-settings.js";
import type { FoundItem, ImageSource } from "../source.js";
import { temporaryFolder } from "../test-folders.js";
import type { OpenSlide } from "./openslide-process.js";
import { slideSource } from "./slide-source.js";
import {
  absentOpenSlide,
  difference,
  hasOpenSlide,
  hasRealSlides,
  needsOpenSlide,
  needsSlides,
  openSlideFromSources,
  picture,
  pyramid,
  realSlides,
  rgbOf,
} from "./test-slides.js";

const folder = temporaryFolder();
const sources: ImageSource[] = [];
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close()));
});

function open(
  settings: Partial<DataSettings> | { slide: object } = {},
  openSlide: OpenSlide = absentOpenSlide,
): ImageSource {
  const source = slideSource({
    settings: dataSettingsSchema.parse({ source: "slide", path: folder(), ...settings }),
    openSlide,
  });
  sources.push(source);
  return source;
}

async function itemsOf(source: ImageSource): Promise<FoundItem[]> {
  const items: FoundItem[] = [];
  for await (const file of source.files()) items.push(...(await source.items(file)));
  return items;
}

/** 600 × 600 of tissue with cells in the left upper corner of 900 × 800 of glass. */
async function put(name: string, micrometresPerPixel?: number): Promise<void> {
  const noise = { type: "gaussian" as const, mean: 128, sigma: 60 };
  const cells = await rgbOf(
    sharp({ create: { width: 150, height: 150, channels: 3, background: "#000", noise } }).resize(600, 600),
  );
  for (let at = 0; at < cells.data.length; at += 3) {
    const ink = cells.data[at]! / 255;
    cells.data.set([200 - 110 * ink, 130 - 90 * ink, 190 - 60 * ink].map(Math.round), at);
  }
  const glass = sharp({ create: { width: 900, height: 800, channels: 3, background: { r: 243, g: 243, b: 242 } } });
  const input = await picture(cells).png().toBuffer();
  const slide = picture(await rgbOf(glass.composite([{ input, left: 0, top: 0 }])));
  await writeFile(join(folder(), name), await pyramid(slide, micrometresPerPixel));
}

describe("slideSource", () => {
  it("lists slides by their names, and opens none", async () => {
    for (const name of ["b.svs", "a.mrxs", "a.dat", "c.jpg", "d.tiff"]) await writeFile(join(folder(), name), "x");
    const ids: string[] = [];
    for await (const { id } of open().files()) ids.push(id);
    expect(ids).toEqual(["a.mrxs", "b.svs", "d.tiff"]);
  });

  it("makes tiles of the wanted size and resolution, with what the slide says", async () => {
    await put("a.tiff", 0.5);
    const source = open();
    const items = await itemsOf(source);
    expect(items.map(({ id }) => id)).toEqual([
      ...["a.tiff//0,0,256", "a.tiff//256,0,256", "a.tiff//0,256,256", "a.tiff//256,256,256"],
    ]);
    expect(items[0]).toMatchObject({
      ...{ group: "unnamed a.tiff", attributes: { vendor: "generic-tiff" } },
      facts: { format: "tiff", width: 256, height: 256 },
    });
    const tile = await source.read(items[3]!);
    expect(tile).toMatchObject({ width: 256, height: 256 });
    expect(tile.spacing?.x).toBeCloseTo(0.0005, 6);
    const whole = await rgbOf(sharp(join(folder(), "a.tiff"), { page: 0 }));
    const expected = await rgbOf(picture(whole).extract({ left: 256, top: 256, width: 256, height: 256 }));
    expect(difference(tile, expected).most).toBe(0);
  });

  it("shrinks to the wanted resolution", async () => {
    await put("a.tiff", 0.25);
    const source = open({ slide: { tileSize: 100, micrometresPerPixel: 0.6 } });
    const items = await itemsOf(source);
    expect(items[0]!.id).toBe("a.tiff//0,0,240");
    const tile = await source.read(items[0]!);
    expect([tile.width, tile.height, tile.data.length]).toEqual([100, 100, 30_000]);
    expect(tile.spacing?.x).toBeCloseTo(0.0006, 6);
  });

  it("takes group, label and attributes from the labels file", async () => {
    await put("a.tiff", 0.5);
    await put("b.tiff", 0.5);
    await writeFile(join(folder(), "labels.csv"), "file,group,label,laboratory\na.tiff,p1,tumour,north\n");
    const items = await itemsOf(
      open({ columns: { label: "label", group: "group", split: "split", attributes: ["laboratory"] } }),
    );
    expect(items).toHaveLength(4);
    expect(items[0]).toMatchObject({
      ...{ group: "p1", label: "tumour", attributes: { vendor: "generic-tiff", laboratory: "north" } },
    });
  });

  it("refuses a slide that does not say its resolution, unless one is assumed", async () => {
    await put("a.tiff");
    await expect(itemsOf(open())).rejects.toMatchObject({
      reason: "unsupported-pixels",
      message: expect.stringContaining("assumedMicrometresPerPixel"),
    });
    const source = open({ slide: { assumedMicrometresPerPixel: 0.5 } });
    const items = await itemsOf(source);
    expect(items).toHaveLength(4);
    expect((await source.read(items[0]!)).spacing?.x).toBeCloseTo(0.0005, 9);
  });

  it("leaves out a slide that is coarser than wanted", async () => {
    await put("a.tiff", 2);
    await expect(itemsOf(open())).rejects.toMatchObject({ reason: "too-small" });
  });

  it.each(["a.tiff", "a.tiff#", "a.tiff//1,2", "a.tiff//99999,0,256", "a.tiff//800,700,256"])(
    "reads no tile that is none: %s",
    async (id) => {
      await put("a.tiff", 0.5);
      await expect(open().read({ id, stamp: "1" })).rejects.toMatchObject({ reason: "missing" });
    },
  );

  it("tells a slide that is gone", async () => {
    await expect(open().read({ id: "none.svs//0,0,256", stamp: "1" })).rejects.toMatchObject({ reason: "missing" });
  });
});

describe.skipIf(!hasRealSlides || !hasOpenSlide)(
  `slideSource on real slides (${needsSlides}; ${needsOpenSlide})`,
  () => {
    it("finds the tissue of H&E and of fluorescence", async () => {
      const items = await itemsOf(open({ path: realSlides.folder }, openSlideFromSources()));
      const counts = new Map<string, number>();
      for (const { facts } of items) counts.set(facts.format, (counts.get(facts.format) ?? 0) + 1);
      // Of 88 and 56 places; H&E covers a third of its slide, the other nearly all.
      expect(counts.get("svs")).toBeGreaterThan(22);
      expect(counts.get("svs")).toBeLessThan(34);
      expect(counts.get("tiff")).toBe(counts.get("svs"));
      expect(counts.get("ndpi")).toBeGreaterThan(44);
    });

    it("makes the same tiles of an SVS with and without OpenSlide", async () => {
      await copyFile(realSlides.svs, join(folder(), "a.svs"));
      const [native, plain] = [open({}, openSlideFromSources()), open()];
      const [withIt, without] = [await itemsOf(native), await itemsOf(plain)];
      expect(without.map(({ id }) => id)).toEqual(withIt.map(({ id }) => id));
      for (const item of withIt.slice(0, 5)) {
        expect(difference(await native.read(item), await plain.read(item)).most).toBe(0);
      }
    });

    it("makes tiles of a DICOM slide", async () => {
      await copyFile(realSlides.dicom, join(folder(), "a.dcm"));
      const source = open({ slide: { micrometresPerPixel: 29, tileSize: 128 } });
      const items = await itemsOf(source);
      expect(items[0]).toMatchObject({
        facts: { format: "dicom", modality: "SM", transferSyntax: "1.2.840.10008.1.2.4.50" },
      });
      expect(items.length).toBeGreaterThan(3);
      expect(items.length).toBeLessThan(20);
      const tile = await source.read(items[0]!);
      expect(tile).toMatchObject({ width: 128, height: 128 });
      expect(tile.spacing?.x).toBeCloseTo(0.02897, 5);
      await expect(itemsOf(open())).rejects.toMatchObject({ reason: "too-small" });
    });
  },
);
