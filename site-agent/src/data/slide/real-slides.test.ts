import { createHash } from "node:crypto";
import { fromFile } from "geotiff";
import { afterAll, describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { openDicomSlide } from "./dicom-slide.js";
import { openWithOpenSlide } from "./openslide.js";
import type { Slide } from "./slide.js";
import {
  difference,
  hasOpenSlide,
  hasRealSlides,
  needsOpenSlide,
  needsSlides,
  openSlideFromSources,
  picture,
  realSlides,
  rgbOf,
} from "./test-slides.js";
import { openTiffSlide } from "./tiff-slide.js";

const openSlide = openSlideFromSources();
afterAll(() => openSlide.close());

const fileOf = (path: string) => ({ id: path.slice(path.lastIndexOf("/") + 1), path });
const openNative = async (path: string): Promise<Slide> => (await openWithOpenSlide(fileOf(path), openSlide))!;
const sha256 = ({ data }: RgbImage): string => createHash("sha256").update(data).digest("hex");
const sizes = ({ levels }: Slide) => levels.map(({ width, height }) => `${width}x${height}`);

describe.skipIf(!hasRealSlides || !hasOpenSlide)(`OpenSlide on real slides (${needsSlides}; ${needsOpenSlide})`, () => {
  it("says what openslide-show-properties 3.4.1 says", async () => {
    const [svs, pyramid, ndpi] = await Promise.all(
      [realSlides.svs, realSlides.pyramid, realSlides.ndpi].map(openNative),
    );
    expect(svs).toMatchObject({
      ...{ width: 2220, height: 2967, micrometresPerPixel: 0.499, format: "svs" },
      attributes: { vendor: "aperio", scanner: "CPAPERIOCS", magnification: "20" },
    });
    expect(ndpi).toMatchObject({
      ...{ width: 3968, height: 4864, format: "ndpi" },
      attributes: { vendor: "hamamatsu", scanner: "C9600-12", magnification: "40" },
    });
    expect(ndpi!.micrometresPerPixel).toBeCloseTo(0.2281750559028887, 12);
    expect(ndpi!.levels.map(({ downsample }) => downsample)).toEqual([1, 2, 4, 8, 16, 32, 64]);
    expect(pyramid).toMatchObject({ format: "tiff", attributes: { vendor: "generic-tiff" } });
    expect(pyramid!.micrometresPerPixel).toBeCloseTo(0.499, 3);
    expect(pyramid!.levels[3]!.downsample).toBeCloseTo(8.0166796760659587, 12);
    expect([svs!, pyramid!].map(sizes)).toEqual([["2220x2967"], ["2220x2967", "1110x1483", "555x741", "277x370"]]);
  });

  /** SHA-256 of red, green and blue of what `openslide-write-png FILE X Y LEVEL 200 150` of openslide-tools 3.4.1 writes. */
  it.each([
    [realSlides.svs, 700, 1300, 0, "dc31336028e9a77aabd7f0e489678c0494eff98fd6935307d7f29479fa627fad"],
    [realSlides.ndpi, 1200, 3000, 1, "ba49e4f858a376779895456748c08b4e6960af3ddee63a5dbe98bbce20c2246d"],
    [realSlides.pyramid, 700, 1300, 0, "0c0bfccb25d08ac633a2a8abebf2ea88d195af4b0874145b7976965129de91c1"],
    [realSlides.ndpi, 640, 1600, 3, "cca09e75228f1a0ffff8e1edb231aacf5cd7db4cc2f6d4eaa57e70b885816191"],
  ])("reads the pixels that openslide-write-png writes: %s", async (path, x, y, level, digest) => {
    const slide = await openNative(path);
    expect(sha256(await slide.readRegion({ x, y, level, width: 200, height: 150 }))).toBe(digest);
  });

  it("is white outside the slide", async () => {
    const slide = await openNative(realSlides.svs);
    const region = await slide.readRegion({ x: 2210, y: 2960, level: 0, width: 20, height: 20 });
    expect([...region.data.subarray(-3)]).toEqual([255, 255, 255]);
    expect([...region.data.subarray(0, 3)]).not.toEqual([255, 255, 255]);
  });

  it.each([realSlides.pyramid, realSlides.ndpi])("shows about the same at every level of %s", async (path) => {
    const slide = await openNative(path);
    const at = async (level: number) => {
      const side = Math.round(1024 / slide.levels[level]!.downsample);
      const region = await slide.readRegion({ x: 900, y: 1200, level, width: side, height: side });
      return rgbOf(picture(region).resize(64, 64, { fit: "fill" }));
    };
    const finest = await at(0);
    for (const level of [1, 2, 3]) expect(difference(await at(level), finest).mean).toBeLessThan(8);
  });
});

describe.skipIf(!hasRealSlides)(`TIFF slides without OpenSlide (${needsSlides})`, () => {
  it("says of SVS and of a pyramid what OpenSlide says", async () => {
    const [svs, pyramid] = [
      await openTiffSlide(fileOf(realSlides.svs)),
      await openTiffSlide(fileOf(realSlides.pyramid)),
    ];
    expect(svs).toMatchObject({
      ...{ width: 2220, height: 2967, micrometresPerPixel: 0.499, format: "svs" },
      attributes: { vendor: "aperio", scanner: "CPAPERIOCS", magnification: "20" },
    });
    expect([svs, pyramid].map(sizes)).toEqual([["2220x2967"], ["2220x2967", "1110x1483", "555x741", "277x370"]]);
    expect(pyramid.micrometresPerPixel).toBeCloseTo(0.499, 3);
    expect(pyramid.levels[3]!.downsample).toBeCloseTo(8.0166796760659587, 12);
  });

  it("reads the pixels that openslide-write-png writes of an SVS", async () => {
    const slide = await openTiffSlide(fileOf(realSlides.svs));
    const digest = "dc31336028e9a77aabd7f0e489678c0494eff98fd6935307d7f29479fa627fad";
    expect(sha256(await slide.readRegion({ x: 700, y: 1300, level: 0, width: 200, height: 150 }))).toBe(digest);
  });

  it("reads about the pixels that geotiff's own decoder reads", async () => {
    const slide = await openTiffSlide(fileOf(realSlides.svs));
    const region = await slide.readRegion({ x: 600, y: 1200, level: 0, width: 300, height: 300 });
    const tiff = await fromFile(realSlides.svs);
    const raster = await (await tiff.getImage(0)).readRasters({ window: [600, 1200, 900, 1500], interleave: true });
    await tiff.close();
    const { mean, most } = difference(region, { width: 300, height: 300, data: Uint8Array.from(raster) });
    expect(mean).toBeLessThan(0.5);
    expect(most).toBeLessThanOrEqual(3);
  });

  it.skipIf(!hasOpenSlide)(`reads what OpenSlide reads at every level (${needsOpenSlide})`, async () => {
    const [plain, native] = [await openTiffSlide(fileOf(realSlides.pyramid)), await openNative(realSlides.pyramid)];
    for (const level of [0, 1, 2, 3]) {
      const request = { x: 0, y: 0, level, width: 250, height: 250 };
      expect(difference(await plain.readRegion(request), await native.readRegion(request)).most).toBeLessThanOrEqual(1);
    }
  });

  it("refuses NDPI, whose images are not tiled, and says what is needed", async () => {
    await expect(openTiffSlide(fileOf(realSlides.ndpi))).rejects.toMatchObject({
      reason: "unsupported-format",
      message: expect.stringContaining("OpenSlide"),
    });
  });
});

describe.skipIf(!hasRealSlides)(`DICOM whole slides (${needsSlides})`, () => {
  const open = () => openDicomSlide(fileOf(realSlides.dicom), { maxPixels: 1e8, allowBurnedIn: false });

  it("says what the file says", async () => {
    const slide = await open();
    expect(slide).toMatchObject({
      ...{ width: 1152, height: 700, format: "dicom", transferSyntax: "1.2.840.10008.1.2.4.50" },
      attributes: { vendor: "unknown" },
    });
    expect(slide.micrometresPerPixel).toBeCloseTo(28.9685, 4);
    await slide.close();
  });

  /** From pydicom 3 and Pillow, which decode JPEG as libjpeg-turbo does but for the upsampling of colours. */
  it("puts every frame where it belongs", async () => {
    const slide = await open();
    const region = await slide.readRegion({ x: 400, y: 300, level: 0, width: 200, height: 150 });
    const means = [0, 1, 2].map((band) => {
      const values = region.data.filter((_, at) => at % 3 === band);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    });
    for (const [band, mean] of [211.83, 198.878, 217.542].entries()) expect(means[band]).toBeCloseTo(mean, 0);
    const at = (x: number, y: number) => [...region.data.subarray((y * 200 + x) * 3, (y * 200 + x) * 3 + 3)];
    for (const [[x, y], expected] of [
      [
        [0, 0],
        [223, 212, 226],
      ],
      [
        [199, 149],
        [226, 221, 227],
      ],
      [
        [100, 75],
        [227, 222, 228],
      ],
    ] as const) {
      for (const [band, value] of at(x, y).entries()) expect(Math.abs(value - expected[band]!)).toBeLessThanOrEqual(3);
    }
    await slide.close();
  });

  it("is white beyond the slide's edge, which its last frames reach over", async () => {
    const slide = await open();
    const region = await slide.readRegion({ x: 1150, y: 698, level: 0, width: 4, height: 4 });
    const white = [...region.data].map((value) => value === 255);
    expect(white.filter(Boolean).length).toBeGreaterThanOrEqual(36);
    expect([...region.data.subarray(0, 6)]).not.toContain(255);
    await slide.close();
  });
});
