import { join } from "node:path";
import { chosenFiles, rowFacts } from "../chosen-files.js";
import type { DataSettings } from "../data-settings.js";
import type { RgbImage } from "../image.js";
import {
  type FoundItem,
  type ImageSource,
  partId,
  type SourceFile,
  type SourceItem,
  splitPartId,
  UnreadableImage,
  unnamedGroup,
} from "../source.js";
import { chooseTiles } from "./choose-tiles.js";
import { openSlide } from "./open-slide.js";
import { type OpenSlide, OpenSlideProcess } from "./openslide-process.js";
import { readTile } from "./read-tile.js";
import type { Slide } from "./slide.js";
import { hasSlideName } from "./slide-names.js";
import { SlidePool } from "./slide-pool.js";
import { parsePlace, placeText, type TilePlace } from "./tile-grid.js";

export interface SlideSourceOptions {
  readonly settings: DataSettings;
  /** Tests bring their own. */
  readonly openSlide?: OpenSlide;
}

/**
 * Tiles of the whole slides below a folder, or of those that a labels file names. An image is a tile of
 * `slide.tileSize` pixels along each side: that is this source's working size. The settings `maxPixels` and
 * `maxFileBytes` do not apply to slides, which are never in memory as a whole; `maxPixels` bounds a DICOM frame.
 */
export function slideSource({
  settings,
  openSlide: library = new OpenSlideProcess(),
}: SlideSourceOptions): ImageSource {
  const options = { library, maxPixels: settings.maxPixels, allowBurnedIn: settings.dicom.allowBurnedIn };
  const pool = new SlidePool((id) => openSlide({ id, path: join(settings.path, id) }, options));
  return {
    files: (signal) => chosenFiles(settings, { isWanted: (file) => hasSlideName(file.id), signal }),
    items: (file) => pool.use(file, (slide) => tilesOf(slide, file, settings)),
    async read({ id, stamp }) {
      const { fileId, part } = splitPartId(id);
      const place = parsePlace(part);
      if (place === undefined) throw new UnreadableImage(id, "missing", { detail: "no tile of a slide" });
      return pool.use({ id: fileId, stamp }, (slide) => tileOf(slide, id, place, settings.slide));
    },
    async close() {
      await pool.close();
      await library.close();
    },
  };
}

async function tilesOf(slide: Slide, file: SourceFile, settings: DataSettings): Promise<FoundItem[]> {
  const micrometresPerPixel = slide.micrometresPerPixel ?? settings.slide.assumedMicrometresPerPixel;
  if (micrometresPerPixel === undefined) {
    throw new UnreadableImage(file.id, "unsupported-pixels", {
      detail: "the slide does not say its resolution; give `slide.assumedMicrometresPerPixel` if it is known",
    });
  }
  const places = await chooseTiles(slide, { id: file.id, micrometresPerPixel, settings: settings.slide });
  const facts = factsOf(slide, file, settings);
  return places.map((place) => ({
    ...facts,
    id: partId(file.id, placeText(place)),
    facts: { ...facts.facts, width: place.side, height: place.side },
  }));
}

type SharedFacts = Omit<SourceItem, "id"> & { readonly facts: Omit<FoundItem["facts"], "width" | "height"> };

/** What all tiles of a slide share. */
function factsOf(slide: Slide, file: SourceFile, { columns }: DataSettings): SharedFacts {
  const { attributes, ...row } = rowFacts(file.row, columns);
  const { format, transferSyntax } = slide;
  return {
    group: unnamedGroup(file.id),
    ...row,
    stamp: file.stamp,
    attributes: { ...slide.attributes, ...attributes },
    facts: { format, ...(transferSyntax === undefined ? {} : { modality: "SM", transferSyntax }) },
  };
}

async function tileOf(
  slide: Slide,
  id: string,
  place: TilePlace,
  { tileSize, assumedMicrometresPerPixel }: DataSettings["slide"],
): Promise<RgbImage> {
  if (place.x + place.side > slide.width || place.y + place.side > slide.height) {
    throw new UnreadableImage(id, "missing", { detail: "outside the slide" });
  }
  const { width, height, data } = await readTile(id, slide, place, tileSize);
  const micrometres = slide.micrometresPerPixel ?? assumedMicrometresPerPixel;
  if (micrometres === undefined) return { width, height, data };
  const millimetres = (place.side * micrometres) / tileSize / 1000;
  return { width, height, data, spacing: { x: millimetres, y: millimetres } };
}
