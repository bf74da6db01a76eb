import type { DataSettings } from "../data-settings.js";
import { UnreadableImage } from "../source.js";
import type { Slide } from "./slide.js";

/** A tile's place: a square in pixels of level 0. */
export interface TilePlace {
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

/** Tiles side by side from the left upper corner, without overlap; what does not fill a tile at the far edges is left out. */
export interface TileGrid {
  /** Of a tile, in pixels of level 0. */
  readonly side: number;
  readonly columns: number;
  readonly rows: number;
}

/** More have no use, and a slide that claims to have them is more likely forged than large. */
const mostTiles = 2 ** 24;

/** A slide may be this much coarser than wanted before its tiles would be blown up. */
const mostEnlargement = 1.25;

/** So near to a level's resolution, its own pixels are better than any that are computed from them. */
const snapShare = 0.02;

/**
 * @param micrometres of level 0, per pixel
 * @throws UnreadableImage "too-small" for a slide that is coarser than wanted or smaller than a tile
 */
export function tileGrid(id: string, slide: Slide, micrometres: number, settings: DataSettings["slide"]): TileGrid {
  const wanted = settings.micrometresPerPixel / micrometres;
  if (wanted * mostEnlargement < 1) {
    const detail = `the slide has ${micrometres.toPrecision(3)} µm per pixel, ${settings.micrometresPerPixel} are wanted`;
    throw new UnreadableImage(id, "too-small", { detail });
  }
  const near = slide.levels.find(({ downsample }) => Math.abs(wanted / downsample - 1) <= snapShare);
  const side = Math.max(1, Math.round(settings.tileSize * (near?.downsample ?? wanted)));
  const [columns, rows] = [Math.floor(slide.width / side), Math.floor(slide.height / side)];
  if (columns === 0 || rows === 0) throw new UnreadableImage(id, "too-small", { detail: "smaller than a tile" });
  if (columns * rows > mostTiles) throw new UnreadableImage(id, "too-many-pixels", { detail: "over 16 million tiles" });
  return { side, columns, rows };
}

/** @param index by rows from the top */
export function placeOf({ side, columns }: TileGrid, index: number): TilePlace {
  return { x: (index % columns) * side, y: Math.floor(index / columns) * side, side };
}

export function placeText({ x, y, side }: TilePlace): string {
  return `${x},${y},${side}`;
}

/** @returns undefined for what `placeText` did not make */
export function parsePlace(text: string | undefined): TilePlace | undefined {
  const found = /^(\d{1,9}),(\d{1,9}),([1-9]\d{0,8})$/.exec(text ?? "");
  if (found === null) return undefined;
  const [x, y, side] = found.slice(1).map(Number) as [number, number, number];
  return { x, y, side };
}
