import { DicomProblem } from "../problem.js";
import type { FrameShape } from "./jpeg-header.js";

export interface Codestream extends FrameShape {
  /** The image without the boxes of a JP2 file, which PS3.5 8.2.4 forbids but some writers leave. */
  readonly codestream: Uint8Array;
}

/** SOC, then SIZ, which always comes second. */
const beginning = Buffer.from("ff4fff51", "hex");
const sizBytes = 45;
/** Boxes of a JP2 file before the image are short. */
const longestPrefix = 4096;

/**
 * Reads the SIZ segment (ISO/IEC 15444-1 A.5.1).
 * @throws DicomProblem "damaged", "truncated", "unsupported-pixels"
 */
export function readCodestream(bytes: Uint8Array): Codestream {
  const start = Buffer.from(bytes.subarray(0, longestPrefix)).indexOf(beginning);
  if (start < 0) throw new DicomProblem("damaged", "its compressed frame does not begin as JPEG 2000");
  const codestream = bytes.subarray(start);
  if (codestream.length < sizBytes) throw new DicomProblem("truncated", "its compressed frame ends within its header");
  const view = new DataView(codestream.buffer, codestream.byteOffset, codestream.byteLength);
  const components = view.getUint16(40);
  const [width, height] = [view.getUint32(8) - view.getUint32(16), view.getUint32(12) - view.getUint32(20)];
  requireTiles(width, height, view.getUint32(24), view.getUint32(28));
  const depths = Array.from({ length: Math.min(components, 3) }, (_, i) => codestream[42 + 3 * i]!);
  const steps = depths.flatMap((_, i) => [codestream[43 + 3 * i], codestream[44 + 3 * i]]);
  if (steps.some((step) => step !== 1)) throw new DicomProblem("unsupported-pixels", "subsampled JPEG 2000");
  if (new Set(depths).size !== 1) throw new DicomProblem("unsupported-pixels", "JPEG 2000 of several depths");
  return { codestream, rows: height, columns: width, components, precision: (depths[0]! & 0x7f) + 1 };
}

/** Tiles cost memory whatever their size: a sound image has few. */
function requireTiles(width: number, height: number, tileWidth: number, tileHeight: number): void {
  const tiles = Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight);
  const most = 16 + (width * height) / 1024;
  if (!(tiles <= most)) throw new DicomProblem("damaged", "JPEG 2000 in implausibly many tiles");
}
