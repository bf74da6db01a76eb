import type { Attributes } from "./attributes.js";
import { DicomProblem } from "./problem.js";
import { tags } from "./tags.js";

/** How pixels are stored (PS3.3 C.7.6.3). */
export interface PixelModule {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly samplesPerPixel: 1 | 3;
  readonly photometric: Photometric;
  readonly bitsAllocated: 1 | 8 | 16 | 32;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  /** All reds come before all greens, rather than pixel by pixel. */
  readonly planar: boolean;
  /** Stored values outside the picture, both ends included. */
  readonly padding: { readonly low: number; readonly high: number } | undefined;
}

const greys = ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"] as const;
const colours = ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"] as const;
export type Photometric = (typeof greys)[number] | (typeof colours)[number];

/** More frames than any slide scanner makes of one level. */
const maxFrames = 1 << 20;

/**
 * @param maxPixels of one frame
 * @returns undefined for an object that is no image: it has neither rows nor columns
 * @throws DicomProblem "too-many-pixels", "unsupported-pixels", "damaged"
 */
export function readPixelModule(attributes: Attributes, maxPixels: number): PixelModule | undefined {
  const rows = attributes.short(tags.rows);
  const columns = attributes.short(tags.columns);
  if (rows === undefined && columns === undefined) return undefined;
  if (!rows || !columns) throw new DicomProblem("damaged", "says no number of rows or columns");
  const frames = attributes.number(tags.frames) ?? 1;
  if (!Number.isInteger(frames) || frames < 1) throw new DicomProblem("damaged", "says no number of frames");
  if (rows * columns > maxPixels || frames > maxFrames) {
    throw new DicomProblem("too-many-pixels", `${columns}×${rows} in ${frames} frames, at most ${maxPixels}`);
  }
  const signed = attributes.short(tags.signed) === 1;
  const layers = readLayers(attributes);
  const padding = layers.samplesPerPixel === 3 ? undefined : readPadding(attributes, signed);
  return { rows, columns, frames, ...layers, ...readBits(attributes), signed, padding };
}

function readLayers(attributes: Attributes): Pick<PixelModule, "samplesPerPixel" | "photometric" | "planar"> {
  const samples = attributes.short(tags.samplesPerPixel) ?? 1;
  const said = attributes.text(tags.photometric) ?? (samples === 1 ? "MONOCHROME2" : "RGB");
  const photometric = [...greys, ...colours].find((known) => known === said);
  if (photometric === undefined)
    throw new DicomProblem("unsupported-pixels", "a photometric interpretation of its own");
  const samplesPerPixel = greys.some((grey) => grey === photometric) ? 1 : 3;
  if (samples !== samplesPerPixel) {
    throw new DicomProblem("damaged", `${samples} samples for each pixel, which are ${photometric}`);
  }
  return { samplesPerPixel, photometric, planar: attributes.short(tags.planar) === 1 };
}

function readBits(attributes: Attributes): Pick<PixelModule, "bitsAllocated" | "bitsStored" | "highBit"> {
  const said = attributes.short(tags.bitsAllocated);
  if (said === undefined) throw new DicomProblem("damaged", "says no number of bits");
  const bitsAllocated = ([1, 8, 16, 32] as const).find((bits) => bits === said);
  if (bitsAllocated === undefined) throw new DicomProblem("unsupported-pixels", `pixels of ${said} bits`);
  const bitsStored = attributes.short(tags.bitsStored) ?? bitsAllocated;
  const highBit = attributes.short(tags.highBit) ?? bitsStored - 1;
  if (bitsStored < 1 || bitsStored > highBit + 1 || highBit >= bitsAllocated) {
    throw new DicomProblem("damaged", `${bitsStored} bits up to bit ${highBit} do not fit ${bitsAllocated} bits`);
  }
  return { bitsAllocated, bitsStored, highBit };
}

/** PS3.3 C.7.5.1.1.2. */
function readPadding(attributes: Attributes, signed: boolean): PixelModule["padding"] {
  const value = attributes.short(tags.padding, { signed });
  if (value === undefined) return undefined;
  const limit = attributes.short(tags.paddingLimit, { signed }) ?? value;
  return { low: Math.min(value, limit), high: Math.max(value, limit) };
}
