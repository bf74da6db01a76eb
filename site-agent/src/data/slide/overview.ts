import type { RgbImage } from "../image.js";
import { UnreadableImage } from "../source.js";
import { readShrunk } from "./read-shrunk.js";
import type { Slide } from "./slide.js";
import { bestLevel } from "./slide-shape.js";

export interface Overview {
  readonly image: RgbImage;
  /** Pixels of level 0 along one of the overview's. */
  readonly pitch: number;
}

export interface OverviewOptions {
  readonly id: string;
  /** Of level 0. */
  readonly micrometresPerPixel: number;
  /** Side of a tile in micrometres: the overview should have some pixels in each. */
  readonly tileMicrometres: number;
}

const mostPixels = 4_000_000;

/** Of a level without a pyramid above it, all of which is read: 130,000 × 130,000. */
const mostRead = 2 ** 34;

/**
 * The slide at 8 to 32 µm per pixel, finer for small tiles, coarser where it would have more than 4 megapixels.
 * @throws UnreadableImage
 */
export async function readOverview(slide: Slide, options: OverviewOptions): Promise<Overview> {
  const { micrometresPerPixel, tileMicrometres } = options;
  const resolution = Math.min(32, Math.max(8, tileMicrometres / 16));
  const bounded = Math.sqrt((slide.width * slide.height) / mostPixels);
  const wanted = Math.max(1, resolution / micrometresPerPixel, bounded);
  const level = bestLevel(slide.levels, wanted);
  const { width, height, downsample } = slide.levels[level]!;
  const factor = Math.max(1, Math.ceil(wanted / downsample - 0.01));
  if (width * height > mostRead && factor > 1) {
    throw new UnreadableImage(options.id, "too-many-pixels", { detail: "a slide of this size needs coarser levels" });
  }
  const [columns, rows] = [Math.max(1, Math.floor(width / factor)), Math.max(1, Math.floor(height / factor))];
  return { image: await readShrunk(slide, { x: 0, y: 0, level, factor, columns, rows }), pitch: factor * downsample };
}
