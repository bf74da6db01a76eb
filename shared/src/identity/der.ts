import { ConsiliumError } from "../errors.js";

/** Tags of the few DER elements that certificates, requests and revocation lists are read for or made of. */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** Context-specific, constructed: a version, or the extensions of a revocation list. */
  tagged0: 0xa0,
  /** Context-specific, constructed: certificate extensions. */
  extensions: 0xa3,
  dnsName: 0x82,
  uri: 0x86,
  ipAddress: 0x87,
} as const;

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content, as they were signed. */
  readonly whole: Uint8Array;
}

/** Walks one level of DER: definite lengths in their shortest form, single-byte tags. Throws certificate-refused. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Tag of the element that comes next, or undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  next(): DerElement {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw malformed();
    const length = this.#length();
    const contentStart = this.#at;
    if (contentStart + length > this.#bytes.length) throw malformed();
    this.#at = contentStart + length;
    return {
      tag,
      content: this.#bytes.subarray(contentStart, this.#at),
      whole: this.#bytes.subarray(start, this.#at),
    };
  }

  expect(tag: number): DerElement {
    const element = this.next();
    if (element.tag !== tag) throw malformed();
    return element;
  }

  sequence(): DerReader {
    return new DerReader(this.expect(derTag.sequence).content);
  }

  expectEnd(): void {
    if (!this.atEnd) throw malformed();
  }

  #byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw malformed();
    this.#at += 1;
    return value;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw malformed();
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
    if (count !== shortest) throw malformed();
    return length;
  }
}

/** One element whose content is the parts, one after the other. */
export function derElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag), derLength(content.length), content]);
}

/** A non-negative INTEGER from its big-endian hex digits. */
export function derInteger(hex: string): Uint8Array {
  const digits = hex.replace(/^0+(?=.)/, "");
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  return derElement(derTag.integer, bytes[0]! >= 0x80 ? Uint8Array.of(0) : Uint8Array.of(), bytes);
}

/** RFC 5280, 4.1.2.5: two digits of the year until 2049, four from then on; whole seconds, UTC. */
export function derTime(atMs: number): Uint8Array {
  const digits = new Date(atMs).toISOString().replaceAll(/\.\d+|[-:T]/g, "");
  const isShort = digits < "2050";
  return derElement(
    isShort ? derTag.utcTime : derTag.generalizedTime,
    Buffer.from(isShort ? digits.slice(2) : digits, "latin1"),
  );
}

function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Uint8Array.of(0x80 | bytes.length), bytes]);
}

function malformed(): ConsiliumError {
  return new ConsiliumError("certificate-refused", "The certificate or certificate request is not well-formed DER.");
}
