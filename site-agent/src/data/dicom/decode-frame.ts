import type { ByteSource } from "./byte-source.js";
import { decoderOf } from "./codecs/decoders.js";
import type { Encoding } from "./encoding.js";
import type { FrameLocator } from "./frame-locator.js";
import type { ImageHeader } from "./header.js";
import { readNative } from "./native.js";
import { DicomProblem } from "./problem.js";
import { type Frame, type RawSamples, storedValues } from "./samples.js";

export interface Decodable {
  readonly bytes: ByteSource;
  readonly encoding: Encoding;
  readonly image: ImageHeader;
  readonly locator: FrameLocator;
}

/**
 * Decodes one frame to its stored values.
 * @param index of the frame, from 0
 * @throws DicomProblem "truncated", "damaged", "unsupported-pixels"; decoders throw what they like on damaged bytes
 */
export async function decodeFrame(object: Decodable, index: number): Promise<Frame> {
  const { rows, columns, samplesPerPixel, frames } = object.image.pixels;
  if (!Number.isInteger(index) || index < 0 || index >= frames) {
    throw new DicomProblem("damaged", `has ${frames} frames and not the one that was asked for`);
  }
  const raw = await readRaw(object, index);
  const needed = rows * columns * samplesPerPixel;
  if (raw.data.length !== needed)
    throw new DicomProblem("damaged", `decodes to ${raw.data.length} of ${needed} values`);
  return { rows, columns, bands: samplesPerPixel, samples: storedValues(raw, object.image.pixels), isRgb: raw.isRgb };
}

async function readRaw({ bytes, encoding, image, locator }: Decodable, index: number): Promise<RawSamples> {
  if (!encoding.encapsulated) return readNative(bytes, image, encoding, index);
  const decode = await decoderOf(encoding.codec);
  return decode(await locator.read(bytes, index), image.pixels);
}
