import { toRgb } from "./colour.js";
import type { DicomFile } from "./dicom-file.js";
import { factsOf } from "./frame-facts.js";
import type { ImageHeader } from "./header.js";
import { DicomProblem, readable } from "./problem.js";

/** VL Whole Slide Microscopy Image Storage. */
const slideClass = "1.2.840.10008.5.1.4.1.1.77.1.6";

export function isSlide({ header }: Pick<DicomFile, "header">): boolean {
  return header.sopClass === slideClass;
}

/** One level of a whole slide: a picture that frames of one size tile (PS3.3 C.8.12.4). */
export interface SlideLevel {
  /** Of a frame, in pixels. */
  readonly tileColumns: number;
  readonly tileRows: number;
  /** Of the whole picture, in pixels. */
  readonly columns: number;
  readonly rows: number;
  /** In millimetres; undefined where the file does not say. */
  readonly spacing: { readonly x: number; readonly y: number } | undefined;
  /** VOLUME for the picture itself; LABEL, OVERVIEW and THUMBNAIL may show a name. */
  readonly flavour: "VOLUME" | "THUMBNAIL" | "LABEL" | "OVERVIEW" | undefined;
  /** Of each frame: its first pixel in the picture, counted from 0. */
  readonly tiles: readonly { readonly x: number; readonly y: number }[];
}

const flavours = ["VOLUME", "THUMBNAIL", "LABEL", "OVERVIEW"] as const;

/**
 * @param id for errors
 * @throws UnreadableImage "no-pixels"; "damaged" when frames do not say where they belong
 */
export function readSlideLevel(file: DicomFile, id: string): Promise<SlideLevel> {
  return readable(id, async () => {
    const image = file.image();
    const { rows: tileRows, columns: tileColumns } = image.pixels;
    return {
      tileColumns,
      tileRows,
      columns: image.matrix?.columns ?? tileColumns,
      rows: image.matrix?.rows ?? tileRows,
      spacing: factsOf(image.frames, 0).geometry.spacing,
      flavour: flavours.find((flavour) => file.header.imageType.includes(flavour)),
      tiles: tilesOf(image),
    };
  });
}

/**
 * Pixels of one frame: interleaved 8-bit red, green and blue.
 * @param index from 0
 * @throws UnreadableImage
 */
export async function readTile(file: DicomFile, index: number, id: string): Promise<Uint8Array> {
  const frame = await file.frame(index);
  return readable(id, async () => {
    if (frame.bands !== 3) throw new DicomProblem("unsupported-pixels", "a slide without colours");
    return toRgb(frame, file.image());
  });
}

function tilesOf({ pixels, frames, matrix, tiledFull }: ImageHeader): SlideLevel["tiles"] {
  if (matrix === undefined && pixels.frames === 1) return [{ x: 0, y: 0 }];
  if (tiledFull && matrix !== undefined) {
    const across = Math.ceil(matrix.columns / pixels.columns);
    const down = Math.ceil(matrix.rows / pixels.rows);
    // Further focal planes and optical paths repeat the same tiles.
    return Array.from({ length: pixels.frames }, (_, frame) => ({
      x: (frame % across) * pixels.columns,
      y: (Math.floor(frame / across) % down) * pixels.rows,
    }));
  }
  const tiles = Array.from({ length: pixels.frames }, (_, frame) => frames[frame]?.tile);
  if (tiles.includes(undefined)) throw new DicomProblem("damaged", "frames that do not say where they belong");
  return tiles.map((tile) => tile!);
}
