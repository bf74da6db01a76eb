import type { ByteSource } from "./byte-source.js";
import type { Encoding } from "./encoding.js";
import { ElementReader } from "./parser.js";
import { DicomProblem } from "./problem.js";
import { pixelTags } from "./tags.js";

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Where the value of the element Pixel Data lies. */
export interface PixelLocation {
  readonly offset: number;
  /** Undefined for frames in fragments, whose length only the last one ends. */
  readonly length: number | undefined;
  /** The value representation is OW: words, whose bytes big endian swaps (PS3.5 A.3). */
  readonly words: boolean;
  /** Extended offset table (PS3.3 C.7.6.3.1.8): eight bytes for each frame, and as many for its length. */
  readonly extended: { readonly offsets: ByteRange; readonly lengths: ByteRange } | undefined;
}

const undefinedLength = 0xffffffff;
const longestHead = 12;

/**
 * Finds the pixels from the first element of group 7FE0 on.
 * @returns undefined when there is none
 * @throws DicomProblem "unsupported-pixels" for pixels that are floats; "damaged"
 */
export async function locatePixels(
  bytes: ByteSource,
  start: number,
  encoding: Encoding,
): Promise<PixelLocation | undefined> {
  const tables = new Map<number, ByteRange>();
  for (let at = start; at + 8 <= bytes.size; ) {
    const buffer = await bytes.read(at, Math.min(longestHead, bytes.size - at));
    const reader = new ElementReader(buffer, 0, encoding);
    const tag = reader.peekTag();
    if (tag > pixelTags.pixels) return undefined;
    const { vr, length, dataOffset } = reader.nextHead();
    const offset = at + dataOffset;
    if (tag === pixelTags.floatPixels || tag === pixelTags.doublePixels) {
      throw new DicomProblem("unsupported-pixels", "pixels that are floating-point numbers");
    }
    if (tag === pixelTags.pixels) return located({ offset, length, vr }, tables, encoding);
    tables.set(tag, { offset, length });
    at = offset + length;
  }
  return undefined;
}

interface PixelElement extends ByteRange {
  readonly vr: string;
}

function located(
  { offset, length, vr }: PixelElement,
  tables: Map<number, ByteRange>,
  encoding: Encoding,
): PixelLocation {
  if (encoding.encapsulated !== (length === undefinedLength)) {
    throw new DicomProblem("damaged", "its pixels are not laid out as its transfer syntax says");
  }
  const offsets = tables.get(pixelTags.extendedOffsets);
  const lengths = tables.get(pixelTags.extendedLengths);
  return {
    offset,
    length: length === undefinedLength ? undefined : length,
    words: vr === "OW",
    extended: offsets === undefined || lengths === undefined ? undefined : { offsets, lengths },
  };
}
