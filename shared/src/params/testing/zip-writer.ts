import { crc32, deflateRawSync } from "node:zlib";

/** For tests: zip archives, with whatever a test wants to be wrong about them. */

export interface WrittenEntry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflated?: boolean;
  /** What the directory says instead of the truth. */
  readonly claims?: Partial<Record<"bytes" | "storedBytes" | "crc32" | "headerStart" | "flags" | "method", number>>;
}

interface Placed {
  readonly name: Buffer;
  readonly stored: Uint8Array;
  readonly fields: Required<NonNullable<WrittenEntry["claims"]>>;
}

/** @param wide writes sizes and places in the 64-bit extension, as PyTorch does for large files */
export function zipOf(entries: readonly WrittenEntry[], { wide = false } = {}): Uint8Array {
  const parts: Buffer[] = [];
  const placed: Placed[] = [];
  let at = 0;
  for (const entry of entries) {
    const stored = entry.deflated === true ? deflateRawSync(entry.data) : entry.data;
    const truth = { bytes: entry.data.length, storedBytes: stored.length, crc32: crc32(entry.data), headerStart: at };
    const fields = { ...truth, flags: 0, method: entry.deflated === true ? 8 : 0, ...entry.claims };
    const one = { name: Buffer.from(entry.name), stored, fields };
    placed.push(one);
    const header = localHeader(one);
    parts.push(header, Buffer.from(stored));
    at += header.length + stored.length;
  }
  const directory = Buffer.concat(placed.map((one) => directoryEntry(one, wide)));
  return Buffer.concat([...parts, directory, endRecords(at, directory.length, placed.length, wide)]);
}

function localHeader({ name, fields }: Placed): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x0403_4b50, 0);
  header.writeUInt16LE(fields.method, 8);
  header.writeUInt32LE(fields.crc32, 14);
  header.writeUInt32LE(fields.storedBytes, 18);
  header.writeUInt32LE(fields.bytes, 22);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, name]);
}

function directoryEntry({ name, fields }: Placed, wide: boolean): Buffer {
  const sizes = [fields.bytes, fields.storedBytes, fields.headerStart];
  const extra = wide ? wideField(sizes) : Buffer.alloc(0);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x0201_4b50, 0);
  header.writeUInt16LE(fields.flags, 8);
  header.writeUInt16LE(fields.method, 10);
  header.writeUInt32LE(fields.crc32, 16);
  const [bytes = 0, storedBytes = 0, headerStart = 0] = wide ? sizes.map(() => 0xffff_ffff) : sizes;
  header.writeUInt32LE(storedBytes, 20);
  header.writeUInt32LE(bytes, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(headerStart, 42);
  return Buffer.concat([header, name, extra]);
}

function wideField(sizes: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * sizes.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * sizes.length, 2);
  for (const [index, size] of sizes.entries()) field.writeBigUInt64LE(BigInt(size), 4 + 8 * index);
  return field;
}

function endRecords(start: number, bytes: number, entries: number, wide: boolean): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x0605_4b50, 0);
  end.writeUInt16LE(wide ? 0xffff : entries, 10);
  end.writeUInt32LE(wide ? 0xffff_ffff : bytes, 12);
  end.writeUInt32LE(wide ? 0xffff_ffff : start, 16);
  if (!wide) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x0606_4b50, 0);
  for (const [value, at] of [
    [entries, 32],
    [bytes, 40],
    [start, 48],
  ] as const)
    record.writeBigUInt64LE(BigInt(value), at);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x0706_4b50, 0);
  locator.writeBigUInt64LE(BigInt(start + bytes), 8);
  return Buffer.concat([record, locator, end]);
}
