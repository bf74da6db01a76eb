import type { FileHandle } from "node:fs/promises";
import { ConsiliumError } from "../../errors.js";
import { readExactly } from "../input-file.js";

/** The directory at the end of a zip archive (APPNOTE 6.3, sections 4.3.12 to 4.3.16), with its 64-bit extension. */

export interface ZipEntry {
  readonly name: string;
  /** 0: stored, 8: deflated. */
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  /** Bytes in the archive, and what they become. */
  readonly storedBytes: number;
  readonly bytes: number;
  /** Where the entry's own header begins. */
  readonly headerStart: number;
  /** Where the next entry, or the directory, begins. */
  readonly limit: number;
}

interface DirectoryPlace {
  readonly start: number;
  readonly bytes: number;
  readonly entries: number;
}

const endBytes = 22;
const locatorBytes = 20;
const wideEndBytes = 56;
const headerBytes = 46;
const longestComment = 0xffff;
const absent32 = 0xffff_ffff;
const absent16 = 0xffff;

const maxEntries = 100_000;
const maxDirectoryBytes = 64 * 2 ** 20;

const signatures = { end: 0x0605_4b50, locator: 0x0706_4b50, wideEnd: 0x0606_4b50, entry: 0x0201_4b50 };

export function damagedArchive(reason: string): ConsiliumError {
  return new ConsiliumError("input-unreadable", `not a readable zip archive: ${reason}`, {
    remedy: "fetch or save the file again; it is damaged or has another format",
  });
}

export async function readPart(file: FileHandle, position: number, length: number): Promise<DataView<ArrayBuffer>> {
  const buffer = new Uint8Array(length);
  await readExactly(file, { buffer, position }, () => damagedArchive("it ends too early"));
  return new DataView(buffer.buffer);
}

function wide(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damagedArchive("a size or place in it is out of range");
  return Number(value);
}

/**
 * Every entry, by name. Entries neither overlap each other nor the directory.
 * @throws ConsiliumError "input-unreadable"
 */
export async function readZipDirectory(file: FileHandle): Promise<ReadonlyMap<string, ZipEntry>> {
  const place = await findDirectory(file, (await file.stat()).size);
  const view = await readPart(file, place.start, place.bytes);
  const found: Omit<ZipEntry, "limit">[] = [];
  let at = 0;
  for (let index = 0; index < place.entries; index++) {
    const { entry, end } = parseEntry(view, at);
    found.push(entry);
    at = end;
  }
  return placed(found, place.start);
}

async function findDirectory(file: FileHandle, size: number): Promise<DirectoryPlace> {
  const tailBytes = Math.min(size, endBytes + longestComment);
  const tail = await readPart(file, size - tailBytes, tailBytes);
  const at = endRecord(tail);
  const endStart = size - tailBytes + at;
  const narrow = {
    start: tail.getUint32(at + 16, true),
    bytes: tail.getUint32(at + 12, true),
    entries: tail.getUint16(at + 10, true),
  };
  const isWide = narrow.start === absent32 || narrow.bytes === absent32 || narrow.entries === absent16;
  const place = isWide ? await wideDirectory(file, endStart) : narrow;
  if (place.entries > maxEntries) throw damagedArchive(`it claims ${place.entries} entries`);
  if (place.bytes > maxDirectoryBytes) throw damagedArchive(`its directory claims ${place.bytes} bytes`);
  if (place.start + place.bytes > endStart) throw damagedArchive("its directory does not lie before its end record");
  return place;
}

/** The comment may hold anything, so the record is the last place whose comment ends where the file does. */
function endRecord(tail: DataView): number {
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    const comment = tail.byteLength - at - endBytes;
    if (tail.getUint32(at, true) === signatures.end && tail.getUint16(at + 20, true) === comment) return at;
  }
  throw damagedArchive("it has no end record");
}

async function wideDirectory(file: FileHandle, endStart: number): Promise<DirectoryPlace> {
  if (endStart < locatorBytes + wideEndBytes) throw damagedArchive("its 64-bit end record is missing");
  const locator = await readPart(file, endStart - locatorBytes, locatorBytes);
  if (locator.getUint32(0, true) !== signatures.locator) throw damagedArchive("its 64-bit end record is missing");
  const at = wide(locator, 8);
  if (at + wideEndBytes > endStart - locatorBytes) throw damagedArchive("its 64-bit end record is misplaced");
  const record = await readPart(file, at, wideEndBytes);
  if (record.getUint32(0, true) !== signatures.wideEnd) throw damagedArchive("its 64-bit end record is damaged");
  return { start: wide(record, 48), bytes: wide(record, 40), entries: wide(record, 32) };
}

function parseEntry(view: DataView<ArrayBuffer>, at: number): { entry: Omit<ZipEntry, "limit">; end: number } {
  if (at + headerBytes > view.byteLength || view.getUint32(at, true) !== signatures.entry) {
    throw damagedArchive("its directory is damaged");
  }
  const nameStart = at + headerBytes;
  const extraStart = nameStart + view.getUint16(at + 28, true);
  const extraEnd = extraStart + view.getUint16(at + 30, true);
  const end = extraEnd + view.getUint16(at + 32, true);
  if (end > view.byteLength) throw damagedArchive("its directory is damaged");
  const narrow = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  const [bytes = 0, storedBytes = 0, headerStart = 0] = widened(narrow, view, { start: extraStart, end: extraEnd });
  const entry = {
    name: new TextDecoder().decode(new Uint8Array(view.buffer, nameStart, extraStart - nameStart)),
    method: view.getUint16(at + 10, true),
    encrypted: (view.getUint16(at + 8, true) & 1) !== 0,
    crc32: view.getUint32(at + 16, true),
    ...{ bytes, storedBytes, headerStart },
  };
  return { entry, end };
}

const wideFieldId = 1;

/** Values that do not fit into 32 bits stand in an extra field, in this order and only these. */
function widened(narrow: readonly number[], view: DataView, extra: { start: number; end: number }): number[] {
  if (!narrow.includes(absent32)) return [...narrow];
  for (let at = extra.start; at + 4 <= extra.end; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > extra.end) break;
    if (view.getUint16(at, true) === wideFieldId) return replaced(narrow, view, { start: at + 4, end });
    at = end;
  }
  throw damagedArchive("an entry lacks its 64-bit sizes");
}

function replaced(narrow: readonly number[], view: DataView, field: { start: number; end: number }): number[] {
  let at = field.start;
  return narrow.map((value) => {
    if (value !== absent32) return value;
    if (at + 8 > field.end) throw damagedArchive("an entry lacks its 64-bit sizes");
    at += 8;
    return wide(view, at - 8);
  });
}

function placed(found: readonly Omit<ZipEntry, "limit">[], directoryStart: number): ReadonlyMap<string, ZipEntry> {
  const ordered = [...found].sort((a, b) => a.headerStart - b.headerStart);
  const entries = new Map<string, ZipEntry>();
  for (const [index, entry] of ordered.entries()) {
    const limit = ordered[index + 1]?.headerStart ?? directoryStart;
    if (entry.headerStart + entry.storedBytes > limit) throw damagedArchive("its entries overlap");
    if (entries.has(entry.name)) throw damagedArchive(`it holds ${JSON.stringify(entry.name)} twice`);
    entries.set(entry.name, { ...entry, limit });
  }
  return entries;
}
