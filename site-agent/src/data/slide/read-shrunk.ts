import type { RgbImage } from "../image.js";
import { copyInto } from "./copy-into.js";
import { resizeTo } from "./resize.js";
import type { Slide } from "./slide.js";

export interface ShrunkRegion {
  /** Left upper corner in pixels of level 0. */
  readonly x: number;
  readonly y: number;
  readonly level: number;
  /** Pixels of the level along one pixel of the result. */
  readonly factor: number;
  /** Pixels of the result. */
  readonly columns: number;
  readonly rows: number;
}

/** Pixels of a level that are in memory at once, along each side. */
const blockSide = 2048;

/**
 * A region that is too large to be read at once, shrunk block by block: memory depends on the result, not on the region.
 * @param region.factor at most 2048
 * @throws UnreadableImage
 */
export async function readShrunk(slide: Slide, region: ShrunkRegion): Promise<RgbImage> {
  const { level, factor, columns, rows } = region;
  const step = Math.max(1, Math.floor(blockSide / factor));
  const pitch = factor * slide.levels[level]!.downsample;
  const result = { width: columns, height: rows, data: new Uint8Array(columns * rows * 3) };
  for (let top = 0; top < rows; top += step) {
    for (let left = 0; left < columns; left += step) {
      const [width, height] = [Math.min(step, columns - left), Math.min(step, rows - top)];
      const corner = { x: Math.round(region.x + left * pitch), y: Math.round(region.y + top * pitch) };
      const block = await slide.readRegion({ ...corner, level, width: width * factor, height: height * factor });
      copyInto(result, await resizeTo(block, width, height), left, top);
    }
  }
  return result;
}
