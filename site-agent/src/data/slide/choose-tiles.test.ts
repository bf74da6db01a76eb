import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "../data-settings.js";
import type { RgbImage } from "../image.js";
import { chooseTiles } from "./choose-tiles.js";
import { readOverview } from "./overview.js";
import { readTile } from "./read-tile.js";
import { difference, picture, rgbOf, slideOf } from "./test-slides.js";
import { parsePlace, placeOf, placeText, type TilePlace, tileGrid } from "./tile-grid.js";

const settingsOf = (slide: object) => dataSettingsSchema.parse({ source: "slide", path: "x", slide }).slide;

/** Glass with tissue, which has cells, in a rectangle. */
async function tissueSlide(width: number, height: number, tissue: TilePlace & { blur?: number }): Promise<RgbImage> {
  const { side, blur } = tissue;
  const noise = { type: "gaussian" as const, mean: 128, sigma: 60 };
  const cells = await rgbOf(
    sharp({ create: { width: side / 4, height: side / 4, channels: 3, background: "#000", noise } }).resize(side, side),
  );
  for (let at = 0; at < cells.data.length; at += 3) {
    const ink = cells.data[at]! / 255;
    cells.data.set([200 - 110 * ink, 130 - 90 * ink, 190 - 60 * ink].map(Math.round), at);
  }
  const stained = blur === undefined ? picture(cells) : picture(cells).blur(blur);
  const input = await stained.png().toBuffer();
  const glass = sharp({ create: { width, height, channels: 3, background: { r: 243, g: 243, b: 242 } } });
  return rgbOf(glass.composite([{ input, left: tissue.x, top: tissue.y }]));
}

describe("tileGrid", () => {
  const slide = (width: number, height: number) => slideOf({ width, height, data: new Uint8Array() });

  it("covers the slide exactly, without overlap, up to what does not fill a tile", () => {
    const grid = tileGrid("a", slide(2220, 2967), 0.5, settingsOf({}));
    expect(grid).toEqual({ side: 256, columns: 8, rows: 11 });
    const covered = new Uint8Array(2220 * 2967);
    for (let index = 0; index < 88; index++) {
      const { x, y, side } = placeOf(grid, index);
      for (let row = y; row < y + side; row++) {
        for (let column = x; column < x + side; column++) covered[row * 2220 + column]!++;
      }
    }
    expect(covered.every((count, at) => count === Number(at % 2220 < 2048 && at < 2220 * 2816))).toBe(true);
  });

  it("takes a level's own pixels where these are about as wanted", () => {
    expect(tileGrid("a", slide(9999, 9999), 0.499, settingsOf({})).side).toBe(256);
    expect(tileGrid("a", slide(9999, 9999), 0.25, settingsOf({})).side).toBe(512);
    expect(tileGrid("a", slide(9999, 9999), 0.23, settingsOf({})).side).toBe(557);
    const levels = [1, 4.002].map((downsample) => ({ width: 9999, height: 9999, downsample }));
    const pyramid = { ...slide(9999, 9999), levels };
    expect(tileGrid("a", pyramid, 0.25, settingsOf({ micrometresPerPixel: 1 })).side).toBe(Math.round(256 * 4.002));
  });

  it.each([
    ["a slide that is too coarse", slide(9999, 9999), 0.7, {}, "too-small"],
    ["a slide smaller than a tile", slide(255, 9999), 0.5, {}, "too-small"],
    ["more tiles than any slide has", slide(200_000, 200_000), 0.5, { tileSize: 32 }, "too-many-pixels"],
  ] as const)("refuses %s", (_, made, micrometres, settings, reason) => {
    expect(() => tileGrid("a", made, micrometres, settingsOf(settings))).toThrowError(
      expect.objectContaining({ reason }),
    );
  });

  it("names places so that they are found again", () => {
    expect(parsePlace(placeText({ x: 512, y: 0, side: 256 }))).toEqual({ x: 512, y: 0, side: 256 });
    for (const text of [undefined, "", "1,2", "1,2,0", "-1,2,3", "1,2,3,4", "1e3,2,3", "1,2,9999999999", "a,b,c"]) {
      expect(parsePlace(text)).toBeUndefined();
    }
  });
});

describe("readTile", () => {
  it("gives the pixels themselves at a level's own resolution", async () => {
    const image = await tissueSlide(600, 500, { x: 50, y: 50, side: 400 });
    const tile = await readTile("a", slideOf(image), { x: 200, y: 100, side: 256 }, 256);
    const expected = await rgbOf(picture(image).extract({ left: 200, top: 100, width: 256, height: 256 }));
    expect(difference(tile, expected).most).toBe(0);
  });

  it("shrinks a large region in blocks as it does at once", async () => {
    const image = await tissueSlide(3000, 3000, { x: 400, y: 400, side: 2400 });
    const place = { x: 100, y: 200, side: 2600 };
    const tile = await readTile("a", slideOf(image), place, 260);
    const cut = await rgbOf(picture(image).extract({ left: 100, top: 200, width: 2600, height: 2600 }));
    const expected = await rgbOf(picture(cut).resize(260, 260, { kernel: "lanczos3" }));
    expect([tile.width, tile.height]).toEqual([260, 260]);
    expect(difference(tile, expected).mean).toBeLessThan(2);
  });

  it("refuses to read a slide without coarser levels for a few pixels", async () => {
    const slide = slideOf({ width: 1_000_000, height: 1_000_000, data: new Uint8Array() });
    await expect(readTile("a", slide, { x: 0, y: 0, side: 900_000 }, 32)).rejects.toMatchObject({
      reason: "too-many-pixels",
    });
  });
});

describe("readOverview", () => {
  it("has about 8 µm per pixel, and says how large its pixels are", async () => {
    const image = await tissueSlide(2000, 1000, { x: 512, y: 256, side: 512 });
    const options = { id: "a", micrometresPerPixel: 0.5, tileMicrometres: 128 };
    const overview = await readOverview(slideOf(image), options);
    expect([overview.pitch, overview.image.width, overview.image.height]).toEqual([16, 125, 62]);
    const expected = await rgbOf(picture(image).extract({ left: 0, top: 0, width: 2000, height: 992 }).resize(125, 62));
    expect(difference(overview.image, expected).mean).toBeLessThan(1);
  });

  it("has at most 4 megapixels", async () => {
    const levels = [1, 4, 16].map((downsample) => ({ width: 2e5 / downsample, height: 1e5 / downsample, downsample }));
    const glass = async ({ width, height }: { width: number; height: number }) => {
      return { width, height, data: new Uint8Array(width * height * 3).fill(240) };
    };
    const slide = { ...slideOf({ width: 2e5, height: 1e5, data: new Uint8Array() }), levels, readRegion: glass };
    const { image, pitch } = await readOverview(slide, { id: "a", micrometresPerPixel: 0.25, tileMicrometres: 128 });
    expect(image.width * image.height).toBeLessThanOrEqual(4_000_000);
    expect(pitch).toBe(80);
  });
});

describe("chooseTiles", () => {
  const choose = async (image: RgbImage, settings: object, id = "a") =>
    (await chooseTiles(slideOf(image), { id, micrometresPerPixel: 0.5, settings: settingsOf(settings) })).map(
      placeText,
    );

  it("takes the tiles with enough tissue, row by row", async () => {
    const image = await tissueSlide(1400, 1100, { x: 256, y: 256, side: 640 });
    expect(await choose(image, { minTissue: 0.9 })).toEqual([
      ...["256,256,256", "512,256,256", "256,512,256", "512,512,256"],
    ]);
    expect(await choose(image, { minTissue: 0.3 })).toHaveLength(8);
  });

  it("takes all places where no tissue is asked for", async () => {
    const glass = await tissueSlide(800, 800, { x: 0, y: 0, side: 32 });
    expect(await choose(glass, { minTissue: 0 })).toHaveLength(9);
  });

  it("says so when there is none", async () => {
    const glass = await tissueSlide(800, 800, { x: 0, y: 0, side: 32 });
    await expect(choose(glass, {})).rejects.toMatchObject({ reason: "no-tissue" });
  });

  it("draws at most as many as wanted, by the slide's name, and always the same", async () => {
    const image = await tissueSlide(2100, 2100, { x: 0, y: 0, side: 2048 });
    const all = await choose(image, {});
    const [first, again, other] = [
      await choose(image, { maxTiles: 10 }),
      await choose(image, { maxTiles: 10 }),
      await choose(image, { maxTiles: 10 }, "b"),
    ];
    expect(all).toHaveLength(64);
    expect(first).toHaveLength(10);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(all.filter((place) => first.includes(place))).toEqual(first);
  });

  it("leaves out tiles that are out of focus, unless told not to", async () => {
    const blurred = await tissueSlide(800, 800, { x: 0, y: 0, side: 768, blur: 10 });
    await expect(choose(blurred, {})).rejects.toMatchObject({ reason: "no-tissue" });
    expect(await choose(blurred, { rejectBlur: false })).toHaveLength(9);
  });

  it("replaces drawn tiles that are out of focus", async () => {
    const sharpPart = await tissueSlide(1600, 800, { x: 0, y: 0, side: 768 });
    const input = await picture(await tissueSlide(768, 768, { x: 0, y: 0, side: 768, blur: 10 }))
      .png()
      .toBuffer();
    const both = await rgbOf(picture(sharpPart).composite([{ input, left: 768, top: 0 }]));
    const chosen = await choose(both, { maxTiles: 9 });
    expect(chosen).toHaveLength(9);
    expect(chosen.every((place) => Number(place.split(",")[0]) < 768)).toBe(true);
  });
});
