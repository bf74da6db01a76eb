import daikon from "daikon/lib/jpeg-baseline.js";
import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import type { RawSamples } from "../samples.js";
import { decodeJpeg } from "./jpeg.js";
import { readJpegHeader, requireShape } from "./jpeg-header.js";

const sequential = 0xc1;

/**
 * How much too bright daikon 1.2 makes 12 bits: it raises them by 2056 × 4095 ÷ 255 sixteenths, having scaled up what is
 * meant for 8 bits with its rounding, instead of by 2048 (ITU-T T.81 A.3.1).
 */
const excess = 15;
const white = 4095;

/** JPEG Extended of 8 or 12 bits (PS3.5 A.4.1). */
export async function decodeJpegExtended(bytes: Uint8Array, pixels: PixelModule): Promise<RawSamples> {
  const header = readJpegHeader(bytes);
  if (header.precision === 8) return decodeJpeg(bytes, pixels);
  requireShape(header, pixels);
  if (header.process !== sequential || header.precision !== 12)
    throw new DicomProblem("damaged", "no JPEG Extended frame");
  if (pixels.samplesPerPixel !== 1) throw new DicomProblem("unsupported-pixels", "colours of 12 bits as JPEG");
  const image = new daikon.JpegImage();
  image.parse(bytes);
  const data = image.getData16(pixels.columns, pixels.rows).map(darkened);
  return {
    data,
    precision: Math.min(pixels.bitsStored, 16),
    highBit: pixels.highBit,
    signed: false,
    planar: false,
    isRgb: false,
  };
}

/** White, to which daikon clips what its excess drove beyond, stays white. */
function darkened(value: number): number {
  return value >= white ? white : Math.max(0, value - excess);
}
