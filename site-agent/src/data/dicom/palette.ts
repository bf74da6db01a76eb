import type { Attributes } from "./attributes.js";
import { type Descriptor, type LookupTable, lookUp, readDescriptor, tableOf } from "./lookup-table.js";
import { DicomProblem } from "./problem.js";
import { tags } from "./tags.js";

/** Tables of red, green and blue (PS3.3 C.7.6.3.1.5). */
export type Palette = readonly [LookupTable, LookupTable, LookupTable];

const bands = [
  [tags.redDescriptor, tags.redTable, tags.redSegments],
  [tags.greenDescriptor, tags.greenTable, tags.greenSegments],
  [tags.blueDescriptor, tags.blueTable, tags.blueSegments],
] as const;

/** @throws DicomProblem "damaged" */
export function readPalette(attributes: Attributes, signed: boolean): Palette {
  const [red, green, blue] = bands.map(([descriptorTag, tableTag, segmentsTag]) => {
    const descriptor = readDescriptor(attributes, descriptorTag, signed);
    const segments = attributes.words(segmentsTag);
    const words = segments === undefined ? attributes.words(tableTag) : expandSegments(segments, descriptor);
    return tableOf(descriptor, words);
  });
  return [red!, green!, blue!];
}

/** @returns interleaved 8-bit red, green, blue */
export function applyPalette(palette: Palette, indices: ArrayLike<number>): Uint8Array {
  const rgb = new Uint8Array(indices.length * 3);
  for (const [band, table] of palette.entries()) {
    const shift = table.bits - 8;
    const shade = (value: number): number => (shift >= 0 ? value >> shift : value << -shift);
    for (let i = 0; i < indices.length; i++) rgb[i * 3 + band] = shade(lookUp(table, indices[i]!));
  }
  return rgb;
}

/**
 * Expands a segmented palette (PS3.3 C.7.9.2): discrete, linear and indirect segments.
 * @throws DicomProblem "damaged"
 */
export function expandSegments(segments: Uint16Array, { entries }: Pick<Descriptor, "entries">): Uint16Array {
  const values: number[] = [];
  readSegments({ words: segments, at: 0, count: Number.POSITIVE_INFINITY, values, limit: entries, mayRefer: true });
  return Uint16Array.from(values);
}

interface Reading {
  readonly words: Uint16Array;
  readonly at: number;
  /** Segments to read. */
  readonly count: number;
  readonly values: number[];
  readonly limit: number;
  /** Segments that an indirect one names may not be indirect themselves. */
  readonly mayRefer: boolean;
}

function readSegments(reading: Reading): void {
  const { words, values, limit } = reading;
  let { at } = reading;
  for (let done = 0; done < reading.count && at + 1 < words.length && values.length < limit; done++) {
    const [opcode, length] = [words[at]!, words[at + 1]!];
    at += 2;
    if (opcode === 0) {
      for (const value of words.subarray(at, at + length)) values.push(value);
      at += length;
    } else if (opcode === 1) {
      pushLine(values, length, words[at++]);
    } else if (opcode === 2 && reading.mayRefer) {
      // The offset is in bytes, the lower word first.
      const offset = words[at]! + words[at + 1]! * 0x10000;
      at += 2;
      readSegments({ ...reading, at: offset / 2, count: length, mayRefer: false });
    } else {
      throw new DicomProblem("damaged", "a palette with a segment of no known kind");
    }
  }
}

function pushLine(values: number[], length: number, end: number | undefined): void {
  const start = values.at(-1);
  if (start === undefined || end === undefined) throw new DicomProblem("damaged", "a palette with a line from nowhere");
  for (let step = 1; step <= length; step++) values.push(Math.round(start + ((end - start) * step) / length));
}
