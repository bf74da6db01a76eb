import { Attributes } from "./attributes.js";
import {
  type Encoding,
  encodingOf,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
} from "./encoding.js";
import { type DataSet, ElementReader } from "./parser.js";
import { DicomProblem } from "./problem.js";

export interface Preface {
  readonly encoding: Encoding;
  /** Where the data set begins. */
  readonly offset: number;
}

const transferSyntax = 0x0002_0010;
const metaForm = { explicit: true, bigEndian: false };

/**
 * Reads the preamble and the file meta information (PS3.10 section 7.1), or recognises a file that lacks one or both.
 * @param bytes the beginning of the file
 * @throws DicomProblem "unsupported-format" when this is no DICOM file
 */
export function readPreface(bytes: Uint8Array): Preface {
  const start = metaStart(bytes);
  if (start === undefined) return { encoding: encodingOf(guessSyntax(bytes, 0)), offset: 0 };
  if (start === bytes.length) throw new DicomProblem("truncated", "ends before the file meta information");
  const reader = new ElementReader(bytes, start, metaForm);
  const elements: DataSet["elements"] = {};
  while (reader.hasMore && reader.peekTag() >>> 16 === 2) {
    const element = reader.next();
    elements[element.tag] = element;
  }
  if (!reader.hasMore) throw new DicomProblem("truncated", "ends within the file meta information");
  const uid = new Attributes(reader.dataSet(elements)).text(transferSyntax);
  return { encoding: encodingOf(uid ?? guessSyntax(bytes, reader.position)), offset: reader.position };
}

function metaStart(bytes: Uint8Array): number | undefined {
  const isMagic = (at: number): boolean => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1") === "DICM";
  if (isMagic(128)) return 132;
  if (isMagic(0)) return 4;
  const beginsWithGroup2 = bytes[0] === 2 && bytes[1] === 0 && isRepresentation(bytes, 4);
  return beginsWithGroup2 ? 0 : undefined;
}

/** Without meta information, the first element of group 8 says by its form how the others are written. */
function guessSyntax(bytes: Uint8Array, at: number): string {
  const [first, second] = bytes.subarray(at, at + 2);
  const explicit = isRepresentation(bytes, at + 4);
  if (first === 8 && second === 0) return explicit ? explicitLittleEndian : implicitLittleEndian;
  if (first === 0 && second === 8 && explicit) return explicitBigEndian;
  throw new DicomProblem("unsupported-format", "not a DICOM file");
}

function isRepresentation(bytes: Uint8Array, at: number): boolean {
  return /^[A-Z]{2}$/.test(Buffer.from(bytes.subarray(at, at + 2)).toString("latin1"));
}
