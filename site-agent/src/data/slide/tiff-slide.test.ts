import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../test-folders.js";
import { pattern } from "../test-images.js";
import type { Slide } from "./slide.js";
import { difference, picture, pyramid, rgbOf } from "./test-slides.js";
import { type TiffField, tiffOf, tiledImage } from "./test-tiff.js";
import { openTiffSlide } from "./tiff-slide.js";

const folder = temporaryFolder();

async function open(content: Uint8Array, name = "a.tiff"): Promise<Slide> {
  const path = join(folder(), name);
  await writeFile(path, content);
  return openTiffSlide({ id: name, path });
}

/** Every tile is one colour in its left half and another in its right half. */
function tilePixels(side: number): Uint8Array {
  return Uint8Array.from(
    { length: side * side * 3 },
    (_, i) => (Math.floor(i / 3) % side < side / 2 ? 10 : 200) + (i % 3),
  );
}

const base = { width: 100, height: 70, tile: 32 } as const;
const pixels = tilePixels(32);

describe("openTiffSlide", () => {
  it("reads what a pyramid says and shows", async () => {
    const image = pattern(1000, 700);
    const slide = await open(await pyramid(image.clone(), 0.5));
    expect(slide).toMatchObject({ width: 1000, height: 700, format: "tiff", attributes: { vendor: "generic-tiff" } });
    expect(slide.micrometresPerPixel).toBeCloseTo(0.5, 4);
    expect(slide.levels.map(({ width, height }) => [width, height])).toEqual([
      ...[
        [1000, 700],
        [500, 350],
        [250, 175],
      ],
    ]);
    const region = await slide.readRegion({ x: 300, y: 200, level: 0, width: 333, height: 222 });
    const expected = await rgbOf(image.clone().extract({ left: 300, top: 200, width: 333, height: 222 }));
    expect(difference(region, expected).most).toBe(0);
  });

  it("shows about the same at every level", async () => {
    const smooth = pattern(64, 48).resize(1024, 768, { kernel: "cubic" });
    const slide = await open(await pyramid(smooth, 0.5));
    const shrunk = async (level: number) => {
      const side = 512 / 2 ** level;
      return rgbOf(
        picture(await slide.readRegion({ x: 256, y: 128, level, width: side, height: side })).resize(64, 64),
      );
    };
    const finest = await shrunk(0);
    for (const level of [1, 2]) expect(difference(await shrunk(level), finest).mean).toBeLessThan(3);
  });

  it("is white outside", async () => {
    const slide = await open(tiffOf([tiledImage(base)], pixels));
    const region = await slide.readRegion({ x: -10, y: 60, level: 0, width: 20, height: 20 });
    const at = (x: number, y: number) => [...region.data.subarray((y * 20 + x) * 3, (y * 20 + x) * 3 + 3)];
    expect([at(9, 0), at(10, 0), at(10, 9), at(10, 10)]).toEqual([
      ...[
        [255, 255, 255],
        [10, 11, 12],
        [10, 11, 12],
        [255, 255, 255],
      ],
    ]);
    const outside = await slide.readRegion({ x: 500, y: 500, level: 0, width: 2, height: 2 });
    expect([...outside.data]).toEqual(new Array(12).fill(255));
  });

  it("reads both byte orders", async () => {
    const fields = tiledImage({ ...base, resolution: 20_000, description: "a slide" });
    const [little, big] = [
      await open(tiffOf([fields], pixels)),
      await open(tiffOf([fields], pixels, { bigEndian: true })),
    ];
    for (const slide of [little, big]) {
      expect(slide).toMatchObject({ width: 100, height: 70, micrometresPerPixel: 0.5 });
      const { data } = await slide.readRegion({ x: 40, y: 40, level: 0, width: 40, height: 20 });
      expect([data[0], data[3 * 8], data[3 * 24]]).toEqual([10, 200, 10]);
    }
  });

  it("reads Aperio's description", async () => {
    const description = "Aperio Image Library v1\r\n100x70 |AppMag = 20|ScanScope ID = SS1|MPP = 0.4990";
    const slide = await open(tiffOf([tiledImage({ ...base, description, resolution: 1 })], pixels), "a.svs");
    expect(slide).toMatchObject({
      ...{ format: "svs", micrometresPerPixel: 0.499 },
      attributes: { vendor: "aperio", scanner: "SS1", magnification: "20" },
    });
  });

  it("takes no label, no macro image and nothing of another shape for a level", async () => {
    const other = (width: number, height: number, description: string) =>
      tiledImage({ width, height, tile: 32, description });
    const content = tiffOf(
      [
        tiledImage({ ...base, description: "Aperio" }),
        ...[
          other(50, 35, "Aperio\nlabel 50x35"),
          other(50, 35, "Aperio\nmacro 50x35"),
          other(50, 50, ""),
          other(50, 35, ""),
        ],
      ],
      pixels,
    );
    expect((await open(content)).levels.map(({ width, height }) => [width, height])).toEqual([
      ...[
        [100, 70],
        [50, 35],
      ],
    ]);
  });
});

describe("openTiffSlide on files that are no good", () => {
  const forged = (tag: number, type: TiffField["type"], count: number): TiffField[] => [
    ...tiledImage(base).filter((field) => field.tag !== tag),
    { tag, type, values: [8, 8], count },
  ];
  const strips = tiledImage(base).filter(({ tag }) => tag !== 324 && tag !== 322 && tag !== 323);

  it.each([
    ["no TIFF", Buffer.from("hello, this is no slide"), "unsupported-format"],
    ["an empty directory chain", tiffOf([[]], pixels), "unsupported-format"],
    ["an image in strips", tiffOf([strips], pixels), "unsupported-format"],
    ["JPEG 2000", tiffOf([tiledImage({ ...base, compression: 33003 })], pixels), "unsupported-format"],
    ["directories in a circle", tiffOf([tiledImage(base), tiledImage(base)], pixels, { backTo: 0 }), "damaged"],
    ["a directory that leads to itself", tiffOf([tiledImage(base)], pixels, { backTo: 0 }), "damaged"],
    ["a cut directory", tiffOf([tiledImage(base)], pixels).subarray(0, 8 + pixels.length + 40), "damaged"],
    ["tiles without size", tiffOf([tiledImage({ ...base, tile: 0 })], pixels), "damaged"],
    [
      "fewer tiles than its size needs",
      tiffOf([tiledImage({ width: 30_000, height: 30_000, tile: 256 })], pixels),
      "damaged",
    ],
    ["huge tiles", tiffOf([tiledImage({ width: 9, height: 9, tile: 60_000 })], pixels), "too-many-pixels"],
    [
      "a billion pixels along a side",
      tiffOf([tiledImage({ width: 1e9, height: 1e9, tile: 256 })], pixels),
      "too-many-pixels",
    ],
    ["four billion bits per sample", tiffOf([forged(258, "short", 0xffffffff)], pixels), "damaged"],
    ["four gigabytes of tables", tiffOf([forged(347, "long", 0x3fffffff)], pixels), "damaged"],
  ] as const)("refuses %s", async (_, content, reason) => {
    await expect(open(content)).rejects.toMatchObject({ reason });
  });

  it("takes no memory for a forged number of tiles", async () => {
    const before = process.memoryUsage().rss;
    const opened = open(tiffOf([forged(324, "long", 0xffffffff)], pixels));
    await opened.then(
      (slide) => slide.close(),
      () => {},
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 ** 2);
  });
});
