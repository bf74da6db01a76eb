import type { ByteSource } from "./byte-source.js";
import { type FragmentTable, readFragments, readOffsetTable, walkFragments } from "./fragments.js";
import type { ImageHeader } from "./header.js";
import type { ByteRange } from "./pixel-location.js";
import { DicomProblem } from "./problem.js";

/** Finds the bytes of each frame of compressed pixels (PS3.5 A.4). Reads tables once and keeps them. */
export class FrameLocator {
  readonly #image: ImageHeader;
  #table: Promise<FragmentTable> | undefined;
  #extended: Promise<readonly ByteRange[]> | undefined;

  constructor(image: ImageHeader) {
    this.#image = image;
  }

  /**
   * The compressed bytes of a frame.
   * @throws DicomProblem "truncated", "damaged"
   */
  async read(bytes: ByteSource, frame: number): Promise<Uint8Array> {
    const ranges = await this.#locate(bytes, frame);
    const parts = await Promise.all(ranges.map(({ offset, length }) => bytes.read(offset, length)));
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async #locate(bytes: ByteSource, frame: number): Promise<readonly ByteRange[]> {
    const { location, pixels } = this.#image;
    if (location.extended !== undefined) {
      this.#extended ??= this.#readExtended(bytes);
      return [(await this.#extended)[frame]!];
    }
    this.#table ??= readOffsetTable(bytes, location.offset);
    const table = await this.#table;
    if (table.offsets.length === pixels.frames && pixels.frames > 1) {
      const first = table.start + table.offsets[frame]!;
      const next = frame + 1 < pixels.frames ? table.start + table.offsets[frame + 1]! : undefined;
      return readFragments(bytes, first, next);
    }
    table.frames ??= walkFragments(bytes, table.start, pixels.frames);
    return (await table.frames)[frame]!;
  }

  /** PS3.3 C.7.6.3.1.8: every frame is one fragment, and the tables say where it begins and how long it is. */
  async #readExtended(bytes: ByteSource): Promise<readonly ByteRange[]> {
    const { extended, offset } = this.#image.location;
    const { frames } = this.#image.pixels;
    const [offsets, lengths] = await Promise.all(
      [extended!.offsets, extended!.lengths].map((t) => longs(bytes, t, frames)),
    );
    const { start } = await readOffsetTable(bytes, offset);
    return offsets!.map((at, index) => ({ offset: start + at + 8, length: lengths![index]! }));
  }
}

async function longs(bytes: ByteSource, { offset, length }: ByteRange, frames: number): Promise<readonly number[]> {
  if (length !== 8 * frames)
    throw new DicomProblem("damaged", "its extended offset table is not one value for each frame");
  const table = await bytes.read(offset, length);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: frames }, (_, index) => Number(view.getBigUint64(index * 8, true)));
}
