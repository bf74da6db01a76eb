import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { laplacianVariance } from "./focus.js";
import { hasRealSlides, needsSlides, picture, realSlides, rgbOf } from "./test-slides.js";
import { tissueMask } from "./tissue-mask.js";

type Colour = readonly [r: number, g: number, b: number];

const glass: Colour = [243, 243, 242];
const eosin: Colour = [226, 150, 190];
const haematoxylin: Colour = [120, 80, 160];

/** Bands of ten rows each, with a little noise. */
function bands(...colours: readonly Colour[]): RgbImage {
  const [width, height] = [40, colours.length * 10];
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const colour = colours[Math.floor(i / (width * 30))]!;
    data[i] = Math.min(255, Math.max(0, colour[i % 3]! + ((i * 7919) % 5) - 2));
  }
  return { width, height, data };
}

/** Share of tissue in each band. */
function shares(image: RgbImage): number[] {
  const { data, width } = tissueMask(image);
  const size = width * 10;
  return Array.from({ length: data.length / size }, (_, band) => {
    return data.subarray(band * size, (band + 1) * size).reduce((sum, value) => sum + value, 0) / size;
  });
}

describe("tissueMask in bright field", () => {
  it("takes stained tissue, not glass", () => {
    expect(shares(bands(glass, eosin, haematoxylin, glass))).toEqual([0, 1, 1, 0]);
  });

  it("finds nothing on bare glass, and all in a slide full of tissue", () => {
    expect(shares(bands(glass, [236, 236, 240], glass))).toEqual([0, 0, 0]);
    expect(shares(bands(eosin, haematoxylin, eosin))).toEqual([1, 1, 1]);
  });

  it("does not take what was not scanned", () => {
    expect(shares(bands(glass, [0, 0, 0], glass, [6, 2, 2], eosin))).toEqual([0, 0, 0, 0, 1]);
  });

  it.each([
    ["blue", [40, 60, 190]],
    ["green", [30, 140, 80]],
    ["red", [220, 20, 30]],
    ["black", [35, 35, 40]],
  ] as const)("leaves out the marks of a %s marker", (_, pen) => {
    expect(shares(bands(glass, eosin, pen, haematoxylin, eosin, glass))).toEqual([0, 1, 0, 1, 1, 0]);
  });

  it("keeps a stain that has a marker's colour", () => {
    expect(shares(bands(glass, [60, 90, 200], [70, 100, 210], [60, 90, 200], eosin, glass))).toEqual([
      0, 1, 1, 1, 1, 0,
    ]);
  });

  it.each([
    ["H&E", [200, 120, 170]],
    ["DAB", [150, 100, 60]],
    ["pale haematoxylin of IHC", [170, 180, 215]],
    ["PAS", [190, 60, 140]],
    ["red blood cells", [200, 80, 100]],
    ["dark nuclei", [70, 45, 110]],
  ] as const)("takes %s for no marker", (_, stain) => {
    expect(shares(bands(glass, stain, glass, eosin))).toEqual([0, 1, 0, 1]);
  });
});

describe("tissueMask in dark field", () => {
  it("takes what glows, however dim beside the brightest", () => {
    const image = bands([2, 1, 1], [2, 2, 1], [18, 1, 1], [20, 2, 2], [230, 30, 10], [1, 1, 1]);
    expect(tissueMask(image).isDark).toBe(true);
    expect(shares(image)).toEqual([0, 0, 1, 1, 1, 0]);
  });

  it("finds nothing in a camera's noise", () => {
    expect(shares(bands([2, 1, 1], [3, 2, 2], [1, 1, 1]))).toEqual([0, 0, 0]);
  });
});

describe.skipIf(!hasRealSlides)(`tissueMask on real tiles (${needsSlides})`, () => {
  const share = async (name: string): Promise<number> => {
    const { data } = tissueMask(await rgbOf(sharp(join(realSlides.tiles, name)).resize(128)));
    return data.reduce((sum, value) => sum + value, 0) / data.length;
  };

  it("tells the tile without tissue from those with", async () => {
    expect(await share("no-tissue.png")).toBeLessThan(0.02);
    expect(await share("tissue-level0-7352-11762-7864-12274.png")).toBeGreaterThan(0.6);
    expect(await share("medium-nuclei-score-level1.png")).toBeGreaterThan(0.45);
  });
});

describe("laplacianVariance", () => {
  it("is what its definition says", () => {
    const grey = [0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0];
    const image = { width: 4, height: 4, data: Uint8Array.from(grey.flatMap((value) => [value, value, value])) };
    const values = [-36, 9, 9 + 3, 0];
    const mean = values.reduce((sum, value) => sum + value, 0) / 4;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
    expect(laplacianVariance(image)).toBeCloseTo(variance, 3);
    expect(laplacianVariance({ width: 2, height: 2, data: new Uint8Array(12) })).toBe(0);
  });

  it("falls with every blur", async () => {
    const noise = rgbOf(
      sharp({
        create: {
          width: 64,
          height: 64,
          channels: 3,
          background: "#000",
          noise: { type: "gaussian", mean: 128, sigma: 30 },
        },
      }),
    );
    const image = await noise;
    const blurred = await Promise.all([0.7, 1.5, 3].map((sigma) => rgbOf(picture(image).blur(sigma))));
    const values = [image, ...blurred].map(laplacianVariance);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(values[3]! * 100).toBeLessThan(values[0]!);
  });
});
