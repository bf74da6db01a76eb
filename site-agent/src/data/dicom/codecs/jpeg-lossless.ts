import { Decoder } from "jpeg-lossless-decoder-js";
import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import type { RawSamples } from "../samples.js";
import { readJpegHeader, requireShape } from "./jpeg-header.js";

const lossless = 0xc3;

/** JPEG Lossless, processes 14 and 14 with selection value 1 (PS3.5 A.4.2). */
export function decodeJpegLossless(bytes: Uint8Array, pixels: PixelModule): RawSamples {
  const header = readJpegHeader(bytes);
  requireShape(header, pixels);
  if (header.process !== lossless) throw new DicomProblem("damaged", "no JPEG Lossless frame");
  if (pixels.samplesPerPixel === 3 && header.precision > 8) {
    throw new DicomProblem("unsupported-pixels", "colours of more than 8 bits as JPEG Lossless");
  }
  const decoder = new Decoder();
  const { buffer } = new Uint8Array(bytes);
  const data = decoder.decode(buffer, 0, bytes.length);
  // Beyond the end of its bytes the decoder goes on with zeros.
  const { stream } = decoder;
  if (data === null || stream === null || decoder.yLoc < pixels.rows || stream.index > stream.buffer.length) {
    throw new DicomProblem("truncated", "its compressed frame ends early");
  }
  return { data, ...meaning(header.precision, pixels), planar: false, isRgb: false };
}

/** Signs begin where the object's bits end, or the encoded ones where these are fewer. */
export function meaning(precision: number, { bitsStored }: PixelModule) {
  const bits = Math.min(precision, bitsStored);
  return { precision: bits, highBit: bits - 1, signed: false };
}
