import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp, { type Sharp } from "sharp";
import type { RgbImage } from "../image.js";
import { copyInto } from "./copy-into.js";
import { loadOpenSlide } from "./openslide-library.js";
import { type OpenSlide, OpenSlideProcess } from "./openslide-process.js";
import type { Slide } from "./slide.js";

/** Real slides beside the repository; see the README there. */
const root = fileURLToPath(new URL("../../../../../shared/data/slides/", import.meta.url));

export const realSlides = {
  folder: `${root}wsi`,
  svs: `${root}wsi/CMU-1-Small-Region.svs`,
  pyramid: `${root}wsi/CMU-1-Small-Region.derived-pyramid.tiff`,
  ndpi: `${root}wsi/test3-TRITC-2-560.ndpi`,
  dicom: `${root}dicom_wsi/camelyon_multiframe_15x256.dcm`,
  tiles: `${root}tiles`,
} as const;

/** For the names of tests: why they are skipped. */
export const needsSlides = "needs the real slides of ../shared/data/slides";
export const hasRealSlides = existsSync(realSlides.svs);
export const needsOpenSlide = "needs the OpenSlide library (Debian: libopenslide0)";
export const hasOpenSlide = loadOpenSlide() !== undefined;

/** OpenSlide from the sources, so that no build is needed. */
export function openSlideFromSources(): OpenSlideProcess {
  const entryPath = fileURLToPath(new URL("./openslide-main.ts", import.meta.url));
  return new OpenSlideProcess({ entryPath, execArgv: ["--import", "tsx"] });
}

/** As on a machine without OpenSlide. */
export const absentOpenSlide: OpenSlide = { ask: async () => ({ type: "absent" }), close: async () => {} };

/** A tiled pyramid as slide scanners write it, without loss. */
export function pyramid(image: Sharp, micrometresPerPixel: number | undefined): Promise<Buffer> {
  // sharp counts pixels per millimetre.
  const resolution = micrometresPerPixel === undefined ? {} : { xres: 1000 / micrometresPerPixel };
  const density = resolution.xres === undefined ? {} : { ...resolution, yres: resolution.xres };
  return image
    .tiff({ tile: true, pyramid: true, tileWidth: 256, tileHeight: 256, compression: "deflate", ...density })
    .toBuffer();
}

export async function rgbOf(image: Sharp): Promise<RgbImage> {
  const { data, info } = await image.removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: new Uint8Array(data) };
}

export function picture({ width, height, data }: RgbImage): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

/** A slide in memory of one level. */
export function slideOf(image: RgbImage, micrometresPerPixel = 0.5): Slide {
  return {
    ...{ width: image.width, height: image.height, micrometresPerPixel, format: "memory" },
    levels: [{ width: image.width, height: image.height, downsample: 1 }],
    attributes: { vendor: "memory" },
    readRegion: async ({ x, y, width, height }) => {
      const region = { width, height, data: new Uint8Array(width * height * 3).fill(255) };
      copyInto(region, image, -x, -y);
      return region;
    },
    close: async () => {},
  };
}

/** Mean and largest difference of two pictures of one size. */
export function difference(a: RgbImage, b: RgbImage): { readonly mean: number; readonly most: number } {
  let [sum, most] = [0, 0];
  for (let i = 0; i < a.data.length; i++) {
    const apart = Math.abs(a.data[i]! - b.data[i]!);
    sum += apart;
    most = Math.max(most, apart);
  }
  return { mean: sum / a.data.length, most };
}
