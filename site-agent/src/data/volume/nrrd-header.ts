import { bytesOf, type SampleType } from "./samples.js";
import { VolumeFault } from "./volume-fault.js";

/** Fields by their names in small letters; comments and key/value pairs are left out. */
export type NrrdFields = ReadonlyMap<string, string>;

export type NrrdEncoding = "raw" | "gzip" | "ascii";

/** Where the voxels are and how they are stored. */
export interface NrrdStorage {
  readonly type: SampleType;
  readonly littleEndian: boolean;
  readonly encoding: NrrdEncoding;
  /** Lines of the data that are passed over, before it is unpacked. */
  readonly lineSkip: number;
  /** Bytes of the unpacked data that are passed over; −1 where the voxels are the file's last bytes. */
  readonly byteSkip: number;
  /** Name of the file that holds the voxels; absent: they follow the header. */
  readonly dataFile?: string;
}

/** Headers with more bytes are none. */
export const largestHeader = 1 << 16;

const typeNames: Readonly<Record<SampleType, readonly string[]>> = {
  int8: ["signed char", "int8", "int8_t"],
  uint8: ["uchar", "unsigned char", "uint8", "uint8_t"],
  int16: ["short", "short int", "signed short", "signed short int", "int16", "int16_t"],
  uint16: ["ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"],
  int32: ["int", "signed int", "int32", "int32_t"],
  uint32: ["uint", "unsigned int", "uint32", "uint32_t"],
  int64: ["longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"],
  uint64: ["ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"],
  float32: ["float"],
  float64: ["double"],
};

const encodings: Readonly<Record<string, NrrdEncoding>> = {
  raw: "raw",
  gzip: "gzip",
  gz: "gzip",
  ascii: "ascii",
  text: "ascii",
  txt: "ascii",
};

/** Names of the same field, by the name that is used here. */
const otherNames: Readonly<Record<string, string>> = {
  lineskip: "line skip",
  byteskip: "byte skip",
  datafile: "data file",
};

/**
 * The lines of a header up to the empty one (NRRD 5, "General structure").
 * @returns the fields and the bytes that the header takes, the empty line with them
 * @throws VolumeFault "unsupported-format" without the first line of NRRD, "damaged"
 */
export function parseNrrdFields(start: Buffer): { readonly fields: NrrdFields; readonly length: number } {
  const text = start.toString("latin1");
  if (!/^NRRD\d{4}\r?\n/.test(text)) throw new VolumeFault("unsupported-format", "no NRRD file");
  const end = /\r?\n\r?\n/.exec(text);
  if (end === null && start.length >= largestHeader) throw new VolumeFault("damaged", "its header has no end");
  // A detached header may end without an empty line.
  const length = end === null ? start.length : end.index + end[0].length;
  const fields = new Map<string, string>();
  for (const line of text
    .slice(0, end?.index ?? text.length)
    .split(/\r?\n/)
    .slice(1)) {
    const field = /^([^#:][^:]*): (.*)$/.exec(line);
    if (field === null) continue;
    const name = field[1]!.trim().toLowerCase();
    fields.set(otherNames[name] ?? name, field[2]!.trim());
  }
  return { fields, length };
}

/** @throws VolumeFault "damaged" when the field is missing */
export function requiredField(fields: NrrdFields, name: string): string {
  const value = fields.get(name);
  if (value === undefined || value === "") throw new VolumeFault("damaged", `its header has no field '${name}'`);
  return value;
}

/** @throws VolumeFault "unsupported-pixels", "unsupported-format", "damaged" */
export function nrrdStorage(fields: NrrdFields): NrrdStorage {
  const type = typeOf(requiredField(fields, "type"));
  const encoding = encodings[requiredField(fields, "encoding").toLowerCase()];
  if (encoding === undefined)
    throw new VolumeFault("unsupported-format", "NRRD in an encoding other than raw, gzip, ascii");
  const dataFile = fields.get("data file");
  return {
    type,
    encoding,
    littleEndian: encoding === "ascii" || bytesOf(type) === 1 || isLittle(requiredField(fields, "endian")),
    lineSkip: skipOf(fields, "line skip", 0),
    byteSkip: skipOf(fields, "byte skip", encoding === "raw" ? -1 : 0),
    ...(dataFile === undefined ? {} : { dataFile: ownFileName(dataFile) }),
  };
}

function typeOf(name: string): SampleType {
  const found = Object.entries(typeNames).find(([, names]) => names.includes(name.toLowerCase()));
  if (found === undefined) throw new VolumeFault("unsupported-pixels", "voxels that are no numbers");
  return found[0] as SampleType;
}

function isLittle(endian: string): boolean {
  if (!/^(?:little|big)$/i.test(endian)) throw new VolumeFault("damaged", "its byte order is unknown");
  return endian.toLowerCase() === "little";
}

function skipOf(fields: NrrdFields, name: string, least: number): number {
  const value = Number(fields.get(name) ?? 0);
  if (!Number.isInteger(value) || value < least || value > largestHeader) {
    throw new VolumeFault("damaged", `its field '${name}' is no count of what to pass over`);
  }
  return value;
}

/** A header must not make the agent read files elsewhere. Volumes in several files are not read. */
function ownFileName(name: string): string {
  if (/^list\b/i.test(name) || name.includes("%")) {
    throw new VolumeFault("unsupported-format", "NRRD whose voxels lie in several files");
  }
  const plain = name.replace(/^\.\//, "");
  if (plain === "" || plain === "." || plain === ".." || /[/\\\0]/.test(plain)) {
    throw new VolumeFault("unsupported-format", "NRRD whose voxels lie in another folder");
  }
  return plain;
}
