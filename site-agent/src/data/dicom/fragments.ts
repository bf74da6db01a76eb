import type { ByteSource } from "./byte-source.js";
import type { ByteRange } from "./pixel-location.js";
import { DicomProblem } from "./problem.js";

export interface FragmentTable {
  /** Of the first fragment; offsets count from here. */
  readonly start: number;
  /** Basic offset table; empty where there is none. */
  readonly offsets: readonly number[];
  /** Fragments by frame, once they were walked through. */
  frames?: Promise<readonly (readonly ByteRange[])[]>;
}

const itemTag = 0xfffee000;
const endTag = 0xfffee0dd;
const itemHead = 8;
/** Read at once while walking through items, most of whose contents is passed over. */
const windowBytes = 64 * 1024;
const maxFragments = 1 << 21;

interface Item extends ByteRange {
  readonly isEnd: boolean;
}

/** Item heads one after the other (PS3.5 7.5.1; always little endian here). */
class ItemWalk {
  readonly #bytes: ByteSource;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;
  at: number;

  constructor(bytes: ByteSource, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** @throws DicomProblem "truncated" where the bytes end, "damaged" where there is no item */
  async next(): Promise<Item> {
    if (this.at + itemHead > this.#bytes.size) throw new DicomProblem("truncated", "ends within its pixels");
    const head = await this.#head();
    const tag = head.getUint16(0, true) * 0x10000 + head.getUint16(2, true);
    const item = { offset: this.at + itemHead, length: head.getUint32(4, true), isEnd: tag === endTag };
    if (tag !== itemTag && !item.isEnd)
      throw new DicomProblem("damaged", "its compressed pixels are not a row of items");
    this.at = item.offset + item.length;
    if (this.at > this.#bytes.size) throw new DicomProblem("truncated", "ends within its pixels");
    return item;
  }

  async #head(): Promise<DataView> {
    const within = this.at - this.#windowAt;
    if (within < 0 || within + itemHead > this.#window.length) {
      this.#window = await this.#bytes.read(this.at, Math.min(windowBytes, this.#bytes.size - this.at));
      this.#windowAt = this.at;
    }
    return new DataView(this.#window.buffer, this.#window.byteOffset + this.at - this.#windowAt, itemHead);
  }
}

/**
 * Reads the basic offset table, the first item of compressed pixels.
 * @throws DicomProblem "truncated", "damaged"
 */
export async function readOffsetTable(bytes: ByteSource, pixelsAt: number): Promise<FragmentTable> {
  const walk = new ItemWalk(bytes, pixelsAt);
  const { offset, length, isEnd } = await walk.next();
  if (isEnd) throw new DicomProblem("truncated", "has no compressed pixels");
  if (length > 4 * maxFragments) throw new DicomProblem("damaged", "its offset table is larger than any slide's");
  const table = await bytes.read(offset, length);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const offsets = Array.from({ length: length >> 2 }, (_, index) => view.getUint32(index * 4, true));
  return { start: walk.at, offsets };
}

/**
 * The fragments from one offset up to another, or to the end.
 * @throws DicomProblem "truncated", "damaged" when there is no fragment
 */
export async function readFragments(
  bytes: ByteSource,
  from: number,
  to: number | undefined,
): Promise<readonly ByteRange[]> {
  const walk = new ItemWalk(bytes, from);
  const fragments: ByteRange[] = [];
  while (to === undefined ? walk.at < bytes.size : walk.at < to) {
    const item = await walk.next();
    if (item.isEnd) break;
    fragments.push(item);
    if (fragments.length > maxFragments) throw new DicomProblem("damaged", "has too many fragments");
  }
  if (fragments.length === 0) throw new DicomProblem("damaged", "its offset table points to no fragment");
  return fragments;
}

/**
 * Shares all fragments out among the frames of an object without an offset table: one each, or all for a single frame,
 * or a new frame wherever a fragment begins as a compressed image does.
 * @throws DicomProblem "truncated" when there are fewer fragments than frames, "damaged"
 */
export async function walkFragments(
  bytes: ByteSource,
  start: number,
  frames: number,
): Promise<readonly (readonly ByteRange[])[]> {
  const fragments = await readFragments(bytes, start, undefined);
  if (frames === 1) return [fragments];
  if (fragments.length === frames) return fragments.map((fragment) => [fragment]);
  if (fragments.length < frames) throw new DicomProblem("truncated", "has fewer compressed frames than it says");
  const byFrame: ByteRange[][] = [];
  for (const fragment of fragments) {
    if (byFrame.length === 0 || (await beginsImage(bytes, fragment))) byFrame.push([fragment]);
    else byFrame.at(-1)!.push(fragment);
  }
  if (byFrame.length !== frames) throw new DicomProblem("damaged", "its fragments cannot be told apart by frame");
  return byFrame;
}

/** Start of image of JPEG and JPEG-LS, of a JPEG 2000 codestream, and of a JP2 file. */
const beginnings = ["ffd8ff", "ff4fff51", "0000000c6a50"];

async function beginsImage(bytes: ByteSource, { offset, length }: ByteRange): Promise<boolean> {
  const head = Buffer.from(await bytes.read(offset, Math.min(6, length))).toString("hex");
  return beginnings.some((beginning) => head.startsWith(beginning));
}
