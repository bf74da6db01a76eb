import type { Codec } from "../encoding.js";
import { unpackNative } from "../native.js";
import type { PixelModule } from "../pixel-module.js";
import type { RawSamples } from "../samples.js";
import { decodeRle } from "./rle.js";

/**
 * Decodes one frame. On damaged bytes it throws DicomProblem or whatever its library throws, and never returns fewer
 * values than the header says.
 */
export type Decoder = (bytes: Uint8Array, pixels: PixelModule) => RawSamples | Promise<RawSamples>;

/** Decoders are loaded when the first frame asks for them. */
const decoders: Readonly<Record<Codec, () => Promise<Decoder>>> = {
  native: async () => (bytes, pixels) => unpackNative(bytes, pixels, false),
  rle: async () => decodeRle,
  jpeg: async () => (await import("./jpeg.js")).decodeJpeg,
  "jpeg-extended": async () => (await import("./jpeg-extended.js")).decodeJpegExtended,
  "jpeg-lossless": async () => (await import("./jpeg-lossless.js")).decodeJpegLossless,
  "jpeg-ls": async () => (await import("./jpeg-ls.js")).decodeJpegLs,
  "jpeg-2000": async () => (await import("./jpeg-2000.js")).decodeJpeg2000,
  htj2k: async () => (await import("./jpeg-2000.js")).decodeHtj2k,
};

export function decoderOf(codec: Codec): Promise<Decoder> {
  return decoders[codec]();
}
