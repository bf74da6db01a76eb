import { deflateRawSync } from "node:zlib";

/** Makes small DICOM files for tests. */
export type TestValue = string | readonly number[] | Uint8Array | readonly TestElements[];
/** By tag, such as "00280010"; each with its value representation. Undefined takes an element away. */
export type TestElements = Readonly<Record<string, readonly [vr: string, value: TestValue] | undefined>>;

export interface TestForm {
  readonly syntax?: string;
  readonly preamble?: boolean;
  readonly meta?: boolean;
}

export const implicit = "1.2.840.10008.1.2";
export const explicit = "1.2.840.10008.1.2.1";
export const bigEndian = "1.2.840.10008.1.2.2";
export const deflated = "1.2.840.10008.1.2.1.99";

/** @param elements of the data set, of which group 2 is made here */
export function dicomBytes(
  elements: TestElements,
  { syntax = explicit, preamble = true, meta = true }: TestForm = {},
): Buffer {
  const body = dataSet(elements, syntax === implicit, syntax === bigEndian);
  const rest = syntax === deflated ? deflateRawSync(body) : body;
  if (!meta) return rest;
  const information = dataSet({ "00020010": ["UI", syntax] }, false, false);
  return Buffer.concat([
    preamble ? Buffer.concat([Buffer.alloc(128), Buffer.from("DICM")]) : Buffer.alloc(0),
    information,
    rest,
  ]);
}

/** Elements of a grey image; `over` replaces and adds. */
export function imageElements(
  columns: number,
  rows: number,
  pixels: Uint8Array,
  over: TestElements = {},
): TestElements {
  return {
    "00080016": ["UI", "1.2.840.10008.5.1.4.1.1.7"],
    "00080018": ["UI", "1.2.3.4.5.6.7"],
    "00080060": ["CS", "CR"],
    "00100010": ["PN", "Doe^Jane"],
    "00100020": ["LO", "PATIENT-4711"],
    "0020000d": ["UI", "1.2.3.4.5"],
    "0020000e": ["UI", "1.2.3.4.5.6"],
    "00280002": ["US", [1]],
    "00280004": ["CS", "MONOCHROME2"],
    "00280010": ["US", [rows]],
    "00280011": ["US", [columns]],
    "00280100": ["US", [8]],
    "00280101": ["US", [8]],
    "00280102": ["US", [7]],
    "00280103": ["US", [0]],
    "7fe00010": ["OW", pixels],
    ...over,
  };
}

/** Bits allocated, stored, highest, and sign. */
export function bits(allocated: number, stored: number, high = stored - 1, signed = 0): TestElements {
  return {
    "00280100": ["US", [allocated]],
    "00280101": ["US", [stored]],
    "00280102": ["US", [high]],
    "00280103": ["US", [signed]],
  };
}

export function colours(photometric: string, planar = 0): TestElements {
  return { "00280002": ["US", [3]], "00280004": ["CS", photometric], "00280006": ["US", [planar]] };
}

/** Compressed pixels: the offset table and the fragments as items, and their end. */
export function fragments(parts: readonly Uint8Array[], offsets: readonly number[] = []): TestElements {
  const items = [Buffer.from(Uint32Array.from(offsets).buffer), ...parts].map((part) => {
    const padded = part.length % 2 === 0 ? part : Buffer.concat([part, Buffer.alloc(1)]);
    return Buffer.concat([head(0xfffee000, padded.length), padded]);
  });
  return { "7fe00010": ["OB*", Buffer.concat([...items, head(0xfffee0dd, 0)])] };
}

function head(tag: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(tag >>> 16, 0);
  bytes.writeUInt16LE(tag & 0xffff, 2);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

function dataSet(elements: TestElements, isImplicit: boolean, isBig: boolean): Buffer {
  const entries = Object.entries(elements).flatMap(([tag, content]) =>
    content === undefined ? [] : [[Number.parseInt(tag, 16), content] as const],
  );
  return Buffer.concat(
    entries.sort(([a], [b]) => a - b).map(([tag, [vr, value]]) => element(tag, vr, value, isImplicit, isBig)),
  );
}

function element(tag: number, said: string, value: TestValue, isImplicit: boolean, isBig: boolean): Buffer {
  const undefinedLength = said.endsWith("*");
  const vr = said.slice(0, 2);
  const content = valueBytes(vr, value, isImplicit, isBig);
  const length = undefinedLength ? 0xffffffff : content.length;
  const long = isImplicit || /^(?:O[BDFLVW]|SQ|SV|U[CNRTV])$/.test(vr);
  const start = Buffer.alloc(isImplicit || !long ? 8 : 12);
  const short = (number: number, at: number) =>
    isBig ? start.writeUInt16BE(number, at) : start.writeUInt16LE(number, at);
  short(tag >>> 16, 0);
  short(tag & 0xffff, 2);
  if (!isImplicit) start.write(vr, 4, "latin1");
  if (!long) short(length, 6);
  else if (isBig) start.writeUInt32BE(length, start.length - 4);
  else start.writeUInt32LE(length, start.length - 4);
  return Buffer.concat([start, content]);
}

function valueBytes(vr: string, value: TestValue, isImplicit: boolean, isBig: boolean): Buffer {
  if (value instanceof Uint8Array) return even(Buffer.from(value), 0);
  if (typeof value === "string") return even(Buffer.from(value, "latin1"), vr === "UI" ? 0 : 0x20);
  if (vr === "SQ") {
    const items = (value as readonly TestElements[]).map((item) => dataSet(item, isImplicit, isBig));
    return Buffer.concat(items.flatMap((item) => [head(0xfffee000, item.length), item]));
  }
  const width = vr === "UL" || vr === "SL" ? 4 : 2;
  const bytes = Buffer.alloc(value.length * width);
  for (const [index, number] of (value as readonly number[]).entries()) {
    const unsigned = width === 4 ? number >>> 0 : number & 0xffff;
    if (isBig) bytes.writeUIntBE(unsigned, index * width, width);
    else bytes.writeUIntLE(unsigned, index * width, width);
  }
  return bytes;
}

function even(bytes: Buffer, padding: number): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from([padding])]);
}
