import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import type { RawSamples } from "../samples.js";
import { type JpegHeader, readJpegHeader, requireShape } from "./jpeg-header.js";
import { WasmCodec, type WasmDecoder } from "./wasm-codec.js";

const turbo = new WasmCodec(
  "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs",
  ({ JPEGDecoder }: { readonly JPEGDecoder: new () => WasmDecoder }) => new JPEGDecoder(),
);

const endOfImage = Buffer.from("ffd9", "hex");

/** JPEG Baseline and Extended of 8 bits (PS3.5 A.4.1). The decoder turns YCbCr into RGB. */
export async function decodeJpeg(bytes: Uint8Array, pixels: PixelModule): Promise<RawSamples> {
  const header = readJpegHeader(bytes);
  requireShape(header, pixels);
  if (header.precision !== 8) throw new DicomProblem("damaged", `JPEG of ${header.precision} bits as Baseline`);
  requireEnd(bytes);
  const decoded = await turbo.decode(withColours(bytes, header, pixels), () => undefined);
  requireShape(decoded, pixels);
  const isRgb = pixels.samplesPerPixel === 3;
  return { data: decoded.bytes, precision: 8, highBit: 7, signed: false, planar: false, isRgb };
}

/** An Adobe segment (ITU-T T.872) that says that the three bands are RGB. */
const rgbSegment = Buffer.from("ffee000e41646f626500640000000000", "hex");

/** Without a segment that says otherwise, the decoder would take RGB for YCbCr. */
function withColours(bytes: Uint8Array, header: JpegHeader, { photometric }: PixelModule): Uint8Array {
  if (photometric !== "RGB" || header.namesColours) return bytes;
  return Buffer.concat([bytes.subarray(0, 2), rgbSegment, bytes.subarray(2)]);
}

const longestPadding = 16;

/** The decoder fills up with grey what is missing, and does not say so. */
function requireEnd(bytes: Uint8Array): void {
  if (Buffer.from(bytes.subarray(-longestPadding)).includes(endOfImage)) return;
  throw new DicomProblem("truncated", "its compressed frame ends early");
}
