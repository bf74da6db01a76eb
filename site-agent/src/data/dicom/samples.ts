import type { PixelModule } from "./pixel-module.js";

/** Stored values of a frame. */
export type Samples = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** What a decoder makes of a frame's bytes. */
export interface RawSamples {
  readonly data: Samples;
  /** Bits of a value that mean something. */
  readonly precision: number;
  /** The highest of these bits. */
  readonly highBit: number;
  /** The encoded values carry signs of their own. */
  readonly signed: boolean;
  /** All values of one band before those of the next. */
  readonly planar: boolean;
  /** Red, green and blue, whatever the header says: the decoder undid its own change of colours. */
  readonly isRgb: boolean;
}

/** A decoded frame: stored values as PS3.3 C.7.6.3 defines them, row by row from the top, bands interleaved. */
export interface Frame {
  readonly rows: number;
  readonly columns: number;
  readonly bands: 1 | 3;
  readonly samples: Samples;
  readonly isRgb: boolean;
}

/** Cuts values out of their words, extends signs, and interleaves bands. */
export function storedValues(raw: RawSamples, pixels: PixelModule): Samples {
  const cut = cutOut(raw, pixels.signed);
  return raw.planar && pixels.samplesPerPixel === 3 ? interleaved(cut) : cut;
}

function cutOut({ data, precision, highBit }: RawSamples, signed: boolean): Samples {
  const width = data.BYTES_PER_ELEMENT * 8;
  const result = viewOf(data, signed);
  if (precision === width) return result;
  // In 32 bits: up until the highest bit that counts is the sign, and back down to where the lowest one is the unit.
  const up = 31 - highBit;
  const down = 32 - precision;
  for (let i = 0; i < data.length; i++) {
    const moved = data[i]! << up;
    result[i] = signed ? moved >> down : moved >>> down;
  }
  return result;
}

/** The same bytes as integers with or without sign. */
function viewOf({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: Samples, signed: boolean): Samples {
  if (BYTES_PER_ELEMENT === 1)
    return signed ? new Int8Array(buffer, byteOffset, length) : new Uint8Array(buffer, byteOffset, length);
  if (BYTES_PER_ELEMENT === 2)
    return signed ? new Int16Array(buffer, byteOffset, length) : new Uint16Array(buffer, byteOffset, length);
  return signed ? new Int32Array(buffer, byteOffset, length) : new Uint32Array(buffer, byteOffset, length);
}

function interleaved(planar: Samples): Samples {
  const result = planar.slice();
  const pixels = planar.length / 3;
  for (let band = 0; band < 3; band++) {
    for (let i = 0; i < pixels; i++) result[i * 3 + band] = planar[band * pixels + i]!;
  }
  return result;
}

/** Little-endian integers of 1, 2 or 4 bytes, copied so that they are aligned and the caller's own. */
export function integers(bytes: Uint8Array, width: 1 | 2 | 4): Uint8Array | Uint16Array | Uint32Array {
  const { buffer } = new Uint8Array(bytes);
  return width === 1 ? new Uint8Array(buffer) : width === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}
