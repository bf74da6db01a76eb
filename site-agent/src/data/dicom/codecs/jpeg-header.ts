import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";

/** What the frame header of a JPEG or JPEG-LS image says (ITU-T T.81 B.2.2, T.87 C.2.2). */
export interface JpegHeader {
  /** SOF marker, 0xC0 to 0xCF; JPEG-LS has 0xF7. */
  readonly process: number;
  readonly precision: number;
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  /** A JFIF or Adobe segment says which colours these are. */
  readonly namesColours: boolean;
}

const startOfFrame = (marker: number): boolean =>
  (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) || marker === 0xf7;

/** @throws DicomProblem "damaged", "truncated" */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8)
    throw new DicomProblem("damaged", "its compressed frame does not begin as JPEG");
  let namesColours = false;
  for (let at = 2; at + 10 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw new DicomProblem("damaged", "its JPEG markers are out of step");
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (startOfFrame(marker)) return { ...frameHeader(bytes, at), namesColours };
    if (marker === 0xe0 || marker === 0xee) namesColours ||= /^(?:JFIF|Adobe)/.test(textAt(bytes, at + 4));
    at += 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
  }
  throw new DicomProblem("truncated", "its compressed frame ends within its header");
}

function frameHeader(bytes: Uint8Array, at: number): Omit<JpegHeader, "namesColours"> {
  const short = (offset: number): number => bytes[at + offset]! * 256 + bytes[at + offset + 1]!;
  return {
    process: bytes[at + 1]!,
    precision: bytes[at + 4]!,
    rows: short(5),
    columns: short(7),
    components: bytes[at + 9]!,
  };
}

function textAt(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 5)).toString("latin1");
}

export interface FrameShape {
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  readonly precision: number;
}

/**
 * Before a decoder allocates anything, its own header must agree with the object's.
 * @throws DicomProblem "damaged"
 */
export function requireShape({ rows, columns, components, precision }: FrameShape, pixels: PixelModule): void {
  const agrees = rows === pixels.rows && columns === pixels.columns && components === pixels.samplesPerPixel;
  if (!agrees || precision < 1 || precision > pixels.bitsAllocated) {
    throw new DicomProblem(
      "damaged",
      `a compressed frame of ${columns}×${rows}×${components} with ${precision} bits in an object of ` +
        `${pixels.columns}×${pixels.rows}×${pixels.samplesPerPixel} with ${pixels.bitsAllocated}`,
    );
  }
}
