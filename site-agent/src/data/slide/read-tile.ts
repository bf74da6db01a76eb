import type { RgbImage } from "../image.js";
import { UnreadableImage } from "../source.js";
import { readShrunk } from "./read-shrunk.js";
import { resizeTo } from "./resize.js";
import type { Slide } from "./slide.js";
import { bestLevel } from "./slide-shape.js";
import type { TilePlace } from "./tile-grid.js";

/** A level that is finer than this by so much would be read for nothing but its mean. */
const mostFactor = 1024;

/**
 * A square of the slide as `size` × `size` pixels, from the coarsest level that is fine enough.
 * @throws UnreadableImage
 */
export async function readTile(id: string, slide: Slide, place: TilePlace, size: number): Promise<RgbImage> {
  const level = bestLevel(slide.levels, place.side / size);
  const pixels = Math.max(1, Math.round(place.side / slide.levels[level]!.downsample));
  const factor = Math.max(1, Math.floor(pixels / (2 * size)));
  if (factor > mostFactor) {
    throw new UnreadableImage(id, "too-many-pixels", { detail: "the slide lacks levels as coarse as a tile" });
  }
  const { x, y } = place;
  const read =
    factor === 1
      ? slide.readRegion({ x, y, level, width: pixels, height: pixels })
      : readShrunk(slide, { x, y, level, factor, ...sizeOf(Math.floor(pixels / factor)) });
  return resizeTo(await read, size, size);
}

const sizeOf = (side: number) => ({ columns: side, rows: side });
