import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import { integers, type RawSamples } from "../samples.js";
import { readCodestream } from "./jpeg-2000-header.js";
import { requireShape } from "./jpeg-header.js";
import { meaning } from "./jpeg-lossless.js";
import { type Decoded, WasmCodec, type WasmDecoder } from "./wasm-codec.js";

const openJpeg = new WasmCodec(
  "@cornerstonejs/codec-openjpeg/decodewasmjs",
  ({ J2KDecoder }: { readonly J2KDecoder: new () => WasmDecoder }) => new J2KDecoder(),
);

const openJph = new WasmCodec(
  "@cornerstonejs/codec-openjph/wasmjs",
  ({ HTJ2KDecoder }: { readonly HTJ2KDecoder: new () => WasmDecoder }) => new HTJ2KDecoder(),
);

/** JPEG 2000, lossless and lossy (PS3.5 A.4.4). */
export function decodeJpeg2000(bytes: Uint8Array, pixels: PixelModule): Promise<RawSamples> {
  return decode(openJpeg, bytes, pixels);
}

/** High-Throughput JPEG 2000 (PS3.5 A.4.4). */
export function decodeHtj2k(bytes: Uint8Array, pixels: PixelModule): Promise<RawSamples> {
  return decode(openJph, bytes, pixels);
}

async function decode<M, D extends WasmDecoder>(
  codec: WasmCodec<M, D>,
  bytes: Uint8Array,
  pixels: PixelModule,
): Promise<RawSamples> {
  const { codestream, ...header } = readCodestream(bytes);
  requireShape(header, pixels);
  const decoded = await codec.decode(codestream, () => undefined);
  // On bytes that it cannot read OpenJPEG returns an empty image rather than an error.
  requireShape(decoded, pixels);
  if (decoded.bytes.length === 0) throw new DicomProblem("damaged", "its JPEG 2000 frame cannot be decoded");
  return {
    data: integers(decoded.bytes, widthOf(decoded)),
    ...signs(decoded, pixels),
    planar: false,
    isRgb: isRgb(pixels),
  };
}

/** Both decoders fill bytes for up to 8 bits and 16-bit words above. */
function widthOf({ precision }: Decoded): 1 | 2 {
  return precision > 8 ? 2 : 1;
}

/** Encoded values with signs come with these extended; those without get theirs from the object's header. */
function signs({ precision, signed }: Decoded, pixels: PixelModule) {
  return signed ? meaning(precision > 8 ? 16 : 8, pixels) : meaning(precision, pixels);
}

/** The decoder has undone the component transform of YBR_RCT and YBR_ICT. */
function isRgb({ photometric }: PixelModule): boolean {
  return photometric === "YBR_RCT" || photometric === "YBR_ICT" || photometric === "RGB";
}
