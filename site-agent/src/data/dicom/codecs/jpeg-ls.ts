import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import { integers, type RawSamples } from "../samples.js";
import { readJpegHeader, requireShape } from "./jpeg-header.js";
import { meaning } from "./jpeg-lossless.js";
import { WasmCodec, type WasmDecoder } from "./wasm-codec.js";

type LsDecoder = WasmDecoder & { getInterleaveMode(): number };

const charls = new WasmCodec(
  "@cornerstonejs/codec-charls/decodewasmjs",
  ({ JpegLSDecoder }: { readonly JpegLSDecoder: new () => LsDecoder }) => new JpegLSDecoder(),
);

const lossless = 0xf7;
const endOfImage = Buffer.from("ffd9", "hex");

/** JPEG-LS, lossless and near-lossless (PS3.5 A.4.3). */
export async function decodeJpegLs(bytes: Uint8Array, pixels: PixelModule): Promise<RawSamples> {
  const header = readJpegHeader(bytes);
  requireShape(header, pixels);
  if (header.process !== lossless) throw new DicomProblem("damaged", "no JPEG-LS frame");
  const decoded = await charls.decode(closed(bytes), (decoder) => decoder.getInterleaveMode());
  requireShape(decoded, pixels);
  const data = integers(decoded.bytes, decoded.precision > 8 ? 2 : 1);
  return { data, ...meaning(decoded.precision, pixels), planar: decoded.extra === 0, isRgb: false };
}

/** Where no marker ends damaged bytes, CharLS 2.1 counts zero bits that are not there until its counter overflows. */
function closed(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, endOfImage]);
}
