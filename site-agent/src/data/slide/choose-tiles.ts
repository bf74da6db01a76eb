import { permutation, randomFor } from "@consilium/shared/random.js";
import type { DataSettings } from "../data-settings.js";
import { UnreadableImage } from "../source.js";
import { laplacianVariance } from "./focus.js";
import { readOverview } from "./overview.js";
import { readTile } from "./read-tile.js";
import type { Slide } from "./slide.js";
import { placeOf, type TilePlace, tileGrid } from "./tile-grid.js";
import { tissueMask } from "./tissue-mask.js";
import { tissueShares } from "./tissue-share.js";

export interface TileChoice {
  readonly id: string;
  /** Of level 0. */
  readonly micrometresPerPixel: number;
  readonly settings: DataSettings["slide"];
}

/** Of one slide, where the settings name no bound. */
const mostTiles = 1_000_000;

/**
 * Focus is judged at 2 µm per pixel, which needs no more than the second level of most pyramids. There, H&E in focus
 * has over 4000, blurred with σ = 2 µm 300 to 700, with σ = 4 µm below 50; glass adds nothing, so that a tile needs as
 * much less as it has less tissue.
 */
const focus = { micrometresPerPixel: 2, leastSide: 32, leastVariance: 300 } as const;

/**
 * Tiles of a slide that show tissue, from the top, row by row. With `maxTiles`, a draw that depends on the slide's id
 * only. Dark-field and fluorescence slides are not judged by focus, for their contrast says more about the dye.
 * @throws UnreadableImage; "no-tissue" when none is left
 */
export async function chooseTiles(slide: Slide, choice: TileChoice): Promise<TilePlace[]> {
  const { id, settings, micrometresPerPixel } = choice;
  const grid = tileGrid(id, slide, micrometresPerPixel, settings);
  const overview = await readOverview(slide, {
    ...{ id, micrometresPerPixel },
    tileMicrometres: grid.side * micrometresPerPixel,
  });
  const mask = tissueMask(overview.image);
  const share = tissueShares(mask, overview.pitch);
  const withTissue: number[] = [];
  for (let index = 0; index < grid.columns * grid.rows; index++) {
    if (share(placeOf(grid, index)) >= settings.minTissue) withTissue.push(index);
  }
  const judgesFocus = settings.rejectBlur && !mask.isDark;
  const isKept = async (place: TilePlace) =>
    !judgesFocus || (await variance(slide, place, choice)) >= focus.leastVariance * share(place);
  const chosen: number[] = [];
  for (const index of drawn(withTissue, choice)) {
    if (await isKept(placeOf(grid, index))) chosen.push(index);
    if (chosen.length >= (settings.maxTiles ?? mostTiles)) break;
  }
  if (chosen.length === 0) throw new UnreadableImage(id, "no-tissue");
  return chosen.sort((a, b) => a - b).map((index) => placeOf(grid, index));
}

/** Row by row where all are taken, because neighbours share what is decoded; by chance where not. */
function drawn(tiles: readonly number[], { id, settings }: TileChoice): readonly number[] {
  if (tiles.length <= (settings.maxTiles ?? mostTiles)) return tiles;
  return Array.from(permutation(tiles.length, randomFor("tiles", id)), (index) => tiles[index]!);
}

async function variance(slide: Slide, place: TilePlace, { id, settings, ...choice }: TileChoice): Promise<number> {
  const pixels = Math.round((place.side * choice.micrometresPerPixel) / focus.micrometresPerPixel);
  const side = Math.min(settings.tileSize, Math.max(focus.leastSide, pixels));
  return laplacianVariance(await readTile(id, slide, place, side));
}
