import parser, { type ByteArrayParser, type ByteStream, type DataSet, type Element } from "dicom-parser";

export type { DataSet, Element };

/** The parts of dicom-parser that are used; its types leave out the class of data sets. */
interface Parser {
  readonly ByteStream: new (numbers: ByteArrayParser, bytes: Uint8Array, position: number) => ByteStream;
  readonly DataSet: new (numbers: ByteArrayParser, bytes: Uint8Array, elements: DataSet["elements"]) => DataSet;
  readonly littleEndianByteArrayParser: ByteArrayParser;
  readonly bigEndianByteArrayParser: ByteArrayParser;
  readonly readDicomElementExplicit: (stream: ByteStream, warnings: string[]) => Element;
  readonly readDicomElementImplicit: (stream: ByteStream) => Element;
}

function wholeOf(library: object): Parser {
  if (hasDataSets(library)) return library;
  throw new Error("dicom-parser does not export its class of data sets: install the version of the lockfile");
}

function hasDataSets(library: object): library is Parser {
  return "DataSet" in library && typeof library.DataSet === "function";
}

const {
  ByteStream: Stream,
  DataSet: Elements,
  littleEndianByteArrayParser: littleEndian,
  bigEndianByteArrayParser: bigEndian,
  readDicomElementExplicit,
  readDicomElementImplicit,
} = wholeOf(parser);

export interface Form {
  readonly explicit: boolean;
  readonly bigEndian: boolean;
}

/** Data elements one after the other, from a position in a buffer. */
export class ElementReader {
  readonly #stream: ByteStream;
  readonly #form: Form;
  readonly #warnings: string[] = [];

  constructor(bytes: Uint8Array, position: number, form: Form) {
    this.#stream = new Stream(form.bigEndian ? bigEndian : littleEndian, bytes, position);
    this.#form = form;
  }

  get position(): number {
    return this.#stream.position;
  }

  /** At least a tag, a value representation and a length are left. */
  get hasMore(): boolean {
    return this.#stream.position + 8 <= this.#stream.byteArray.length;
  }

  /** The buffer ended within an element: what was read of it is not to be trusted. */
  get ranOut(): boolean {
    const { position, byteArray, warnings } = this.#stream;
    return position > byteArray.length || [...this.#warnings, ...warnings].some((text) => text.startsWith("eof"));
  }

  /** Tag of the next element as a number: group × 65536 + element. */
  peekTag(): number {
    const { byteArray, byteArrayParser, position } = this.#stream;
    return (
      byteArrayParser.readUint16(byteArray, position) * 0x10000 + byteArrayParser.readUint16(byteArray, position + 2)
    );
  }

  /** Value representation of the next element; empty where the encoding does not say. */
  peekRepresentation(): string {
    if (!this.#form.explicit) return "";
    const { byteArray, position } = this.#stream;
    return String.fromCharCode(byteArray[position + 4]!, byteArray[position + 5]!);
  }

  /** Reads the next element, with all items of a sequence. */
  next(): Element {
    // dicom-parser 1.8 does not know the 64-bit representations, whose lengths have four bytes (PS3.5 table 7.1-1).
    if (/^[OSU]V$/.test(this.peekRepresentation())) return this.#next64();
    return this.#form.explicit
      ? readDicomElementExplicit(this.#stream, this.#warnings)
      : readDicomElementImplicit(this.#stream);
  }

  #next64(): Element {
    const tag = tagText(this.peekTag());
    const vr = this.peekRepresentation();
    this.#stream.seek(8);
    const length = this.#stream.readUint32();
    const dataOffset = this.#stream.position;
    this.#stream.seek(length);
    return { tag, vr, length, dataOffset };
  }

  /** Reads the element's tag, representation and length, and stops at its value. */
  nextHead(): Pick<Element, "length" | "dataOffset"> & { readonly vr: string } {
    const vr = this.peekRepresentation();
    const short = this.#form.explicit && !/^(?:O[BDFLVW]|SQ|SV|U[CNRTV])$/.test(vr);
    this.#stream.seek(this.#form.explicit ? (short ? 6 : 8) : 4);
    const length = short ? this.#stream.readUint16() : this.#stream.readUint32();
    return { vr, length, dataOffset: this.#stream.position };
  }

  /** A view of elements that this reader has read. */
  dataSet(elements: DataSet["elements"]): DataSet {
    const { byteArrayParser, byteArray } = this.#stream;
    return new Elements(byteArrayParser, byteArray as Uint8Array, elements);
  }
}

/** dicom-parser's form of a tag. */
export function tagText(tag: number): string {
  return `x${tag.toString(16).padStart(8, "0")}`;
}
