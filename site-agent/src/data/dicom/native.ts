import { endianness } from "node:os";
import type { ByteSource } from "./byte-source.js";
import type { Encoding } from "./encoding.js";
import type { ImageHeader } from "./header.js";
import type { PixelModule } from "./pixel-module.js";
import { DicomProblem } from "./problem.js";
import { integers, type RawSamples } from "./samples.js";

/** Bits of one frame as it is stored (PS3.5 section 8). */
function frameBits({ rows, columns, samplesPerPixel, bitsAllocated, photometric }: PixelModule): number {
  // Two pixels of YBR_FULL_422 share their colour: four values instead of six.
  const values = photometric === "YBR_FULL_422" ? rows * columns * 2 : rows * columns * samplesPerPixel;
  return values * bitsAllocated;
}

/**
 * Requires that the element is as long as its frames are.
 * @throws DicomProblem "truncated"
 */
export function checkNativeLength({ pixels, location }: ImageHeader, size: number): void {
  const needed = Math.ceil((frameBits(pixels) * pixels.frames) / 8);
  if (location.length! < needed || location.offset + needed > size) {
    throw new DicomProblem("truncated", `its pixels need ${needed} bytes`);
  }
}

/** @throws DicomProblem "truncated", "unsupported-pixels" */
export async function readNative(
  bytes: ByteSource,
  image: ImageHeader,
  encoding: Encoding,
  frame: number,
): Promise<RawSamples> {
  const { pixels, location } = image;
  checkNativeLength(image, bytes.size);
  const bits = frameBits(pixels);
  if (pixels.bitsAllocated === 1) {
    const first = frame * bits;
    const from = first >> 3;
    const packed = await bytes.read(location.offset + from, Math.ceil((first + bits) / 8) - from);
    return unpackBits(packed, first & 7, bits);
  }
  const [start, length] = [(frame * bits) / 8, bits / 8];
  if (!swapsBytes(pixels, encoding, location.words)) {
    return unpackNative(await bytes.read(location.offset + start, length), pixels, encoding.bigEndian);
  }
  // A frame of bytes may begin or end in the middle of a word.
  const from = start - (start % 2);
  const words = Buffer.from(await bytes.read(location.offset + from, Math.ceil((start + length - from) / 2) * 2));
  return unpackNative(words.swap16().subarray(start - from, start - from + length), pixels, true);
}

/** Bytes that are stored as the halves of words. */
function swapsBytes({ bitsAllocated }: PixelModule, { bigEndian }: Encoding, words: boolean): boolean {
  return bitsAllocated === 8 && bigEndian && words;
}

/** @param bytes one frame that is not compressed */
export function unpackNative(bytes: Uint8Array, pixels: PixelModule, bigEndian: boolean): RawSamples {
  const { bitsAllocated, bitsStored, highBit, signed, planar, photometric } = pixels;
  const width = bitsAllocated === 1 ? 1 : ((bitsAllocated / 8) as 1 | 2 | 4);
  const data = integers(bytes, width);
  if (bigEndian !== (endianness() === "BE")) swap(data);
  const traits = { precision: bitsStored, highBit, signed, isRgb: false };
  if (photometric === "YBR_FULL_422") return { ...traits, data: spread422(data), planar: false };
  return { ...traits, data, planar };
}

function swap(data: Uint8Array | Uint16Array | Uint32Array): void {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (data.BYTES_PER_ELEMENT === 2) bytes.swap16();
  if (data.BYTES_PER_ELEMENT === 4) bytes.swap32();
}

/** Y1 Y2 Cb Cr → Y1 Cb Cr Y2 Cb Cr (PS3.3 C.7.6.3.1.2). */
function spread422<T extends Uint8Array | Uint16Array | Uint32Array>(data: T): T {
  const spread = new (data.constructor as new (length: number) => T)((data.length / 4) * 6);
  for (let from = 0, to = 0; from + 3 < data.length; from += 4, to += 6) {
    spread[to] = data[from]!;
    spread[to + 3] = data[from + 1]!;
    for (const at of [to + 1, to + 4]) {
      spread[at] = data[from + 2]!;
      spread[at + 1] = data[from + 3]!;
    }
  }
  return spread;
}

/** The first pixel is the lowest bit (PS3.5 8.1.1); frames follow each other without gaps. */
function unpackBits(packed: Uint8Array, first: number, count: number): RawSamples {
  const data = Uint8Array.from({ length: count }, (_, i) => (packed[(first + i) >> 3]! >> ((first + i) & 7)) & 1);
  return { data, precision: 8, highBit: 7, signed: false, planar: false, isRgb: false };
}
