import type { NameHash } from "../name-hash.js";
import type { Attributes } from "./attributes.js";
import type { Encoding } from "./encoding.js";
import { type FrameFacts, readFrameFacts } from "./frame-facts.js";
import type { Layout } from "./layout.js";
import { type Palette, readPalette } from "./palette.js";
import type { PixelLocation } from "./pixel-location.js";
import { type PixelModule, readPixelModule } from "./pixel-module.js";
import { DicomProblem } from "./problem.js";
import { tags } from "./tags.js";

/** All that is kept of an object's header. No identifier of a patient, study, series or instance is among it. */
export interface DicomHeader {
  readonly encoding: Encoding;
  readonly sopClass: string | undefined;
  readonly modality: string | undefined;
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  readonly burnedIn: boolean;
  readonly hashes: Hashes;
  readonly instanceNumber: number | undefined;
  /** Values of Image Type, such as ORIGINAL, VOLUME. */
  readonly imageType: readonly string[];
  /** Absent in objects without pixels, such as reports and plans. */
  readonly image: ImageHeader | undefined;
}

/** Keyed hashes of identifiers; undefined where the file has none. */
export interface Hashes {
  readonly patient: string | undefined;
  readonly study: string | undefined;
  readonly series: string | undefined;
  readonly instance: string | undefined;
}

export interface ImageHeader {
  readonly pixels: PixelModule;
  readonly location: PixelLocation;
  readonly palette: Palette | undefined;
  readonly frames: readonly FrameFacts[];
  /** Size of the whole picture that the frames are tiles of, in pixels. */
  readonly matrix: { readonly columns: number; readonly rows: number } | undefined;
  /** Frames are the tiles of `matrix` from left to right and from the top down, and do not say so one by one. */
  readonly tiledFull: boolean;
}

export interface HeaderOptions {
  readonly hash: NameHash;
  /** Of one frame. */
  readonly maxPixels: number;
}

/** @throws DicomProblem */
export function readHeader({ encoding, attributes, pixels }: Layout, { hash, maxPixels }: HeaderOptions): DicomHeader {
  const hashed = (tag: number): string | undefined => {
    const identifier = attributes.text(tag);
    return identifier === undefined || identifier === "" ? undefined : hash(identifier);
  };
  return {
    encoding,
    sopClass: attributes.text(tags.sopClass),
    modality: code(attributes.text(tags.modality)),
    manufacturer: label(attributes.text(tags.manufacturer)),
    model: label(attributes.text(tags.model)),
    burnedIn: attributes.text(tags.burnedIn)?.toUpperCase() === "YES",
    hashes: {
      patient: hashed(tags.patient),
      study: hashed(tags.study),
      series: hashed(tags.series),
      instance: hashed(tags.instance),
    },
    instanceNumber: attributes.number(tags.instanceNumber),
    imageType: attributes.texts(tags.imageType),
    image: pixels === undefined ? undefined : readImage(attributes, pixels, maxPixels),
  };
}

function readImage(attributes: Attributes, location: PixelLocation, maxPixels: number): ImageHeader {
  const pixels = readPixelModule(attributes, maxPixels);
  if (pixels === undefined) throw new DicomProblem("damaged", "has pixels, but says no rows and columns");
  const columns = attributes.long(tags.matrixColumns);
  const rows = attributes.long(tags.matrixRows);
  return {
    pixels,
    location,
    palette: pixels.photometric === "PALETTE COLOR" ? readPalette(attributes, pixels.signed) : undefined,
    frames: readFrameFacts(attributes, pixels),
    matrix: columns && rows ? { columns, rows } : undefined,
    tiledFull: attributes.text(tags.organization) === "TILED_FULL",
  };
}

function code(text: string | undefined): string | undefined {
  return text !== undefined && /^[A-Z]{1,16}$/.test(text) ? text : undefined;
}

/** Names of scanners are shown to people: printable characters only, at most 64 (PS3.5 6.2, LO). */
function label(text: string | undefined): string | undefined {
  const shown = text
    ?.replaceAll(/[^\x20-\x7e]/g, "")
    .slice(0, 64)
    .trim();
  return shown === "" ? undefined : shown;
}
