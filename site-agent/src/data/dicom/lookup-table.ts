import type { Attributes } from "./attributes.js";
import { DicomProblem } from "./problem.js";
import { itemTags, tags } from "./tags.js";

/** Values for consecutive inputs; inputs beyond either end take the value of that end (PS3.3 C.11.1.1). */
export interface LookupTable {
  /** The input that the first value is for. */
  readonly first: number;
  readonly values: Uint16Array;
  /** Bits of a value. */
  readonly bits: number;
}

export function lookUp({ first, values }: LookupTable, input: number): number {
  const index = Math.round(input) - first;
  return values[index <= 0 ? 0 : index >= values.length ? values.length - 1 : index]!;
}

/**
 * The table of an item of a Modality LUT or VOI LUT Sequence.
 * @param signed whether its inputs are signed, and so the first of them
 * @throws DicomProblem "damaged"
 */
export function readTable(item: Attributes, signed: boolean): LookupTable {
  const data = item.words(itemTags.tableData);
  return tableOf(readDescriptor(item, itemTags.tableDescriptor, signed), data);
}

export interface Descriptor {
  readonly entries: number;
  readonly first: number;
  readonly bits: number;
}

/** @throws DicomProblem "damaged" */
export function readDescriptor(attributes: Attributes, tag: number, signed: boolean): Descriptor {
  const entries = attributes.short(tag);
  const first = attributes.short(tag, { index: 1, signed });
  const bits = attributes.short(tag, { index: 2 });
  if (entries === undefined || first === undefined || bits === undefined || bits < 1 || bits > 16) {
    throw new DicomProblem("damaged", "a lookup table without a proper descriptor");
  }
  return { entries: entries === 0 ? 65536 : entries, first, bits };
}

/** @throws DicomProblem "damaged" */
export function tableOf({ entries, first, bits }: Descriptor, words: Uint16Array | undefined): LookupTable {
  if (words === undefined || words.length < Math.ceil(entries / 2)) {
    throw new DicomProblem("damaged", "a lookup table with fewer values than it says");
  }
  // Tables of bytes come one to a word or, as the standard has it, two to a word, the lower one first.
  const packed = words.length < entries;
  if (packed && bits > 8) throw new DicomProblem("damaged", "a lookup table with fewer values than it says");
  const values = packed
    ? Uint16Array.from({ length: entries }, (_, i) => (words[i >> 1]! >> (8 * (i & 1))) & 0xff)
    : words;
  return { first, bits, values: values.subarray(0, entries) };
}

/** Modality LUT Sequence, else rescale (PS3.3 C.11.1). */
export type ModalityTransform =
  | { readonly kind: "linear"; readonly slope: number; readonly intercept: number }
  | { readonly kind: "table"; readonly table: LookupTable };

export const identity: ModalityTransform = { kind: "linear", slope: 1, intercept: 0 };

export function readModalityTransform(attributes: Attributes, signed: boolean): ModalityTransform | undefined {
  const item = attributes.item(tags.modalityTable);
  if (item !== undefined) return { kind: "table", table: readTable(item, signed) };
  const slope = attributes.number(tags.slope);
  const intercept = attributes.number(tags.intercept);
  if (slope === undefined && intercept === undefined) return undefined;
  return { kind: "linear", slope: slope || 1, intercept: intercept ?? 0 };
}

/** @returns the value in the modality's own unit, such as Hounsfield units */
export function modalityValue(transform: ModalityTransform, stored: number): number {
  return transform.kind === "linear" ? stored * transform.slope + transform.intercept : lookUp(transform.table, stored);
}
