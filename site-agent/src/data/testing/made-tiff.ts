export interface MadeTiff {
  readonly width: number;
  readonly height: number;
  /** Interleaved 8-bit samples, of one band or of three, one image after another. */
  readonly pages: readonly Uint8Array[];
  /** All of one band before the next (PlanarConfiguration 2). */
  readonly planar?: boolean;
  readonly whiteIsZero?: boolean;
  /** Tags that replace the usual ones, by number. */
  readonly tags?: Readonly<Record<number, number>>;
  /** The last directory names the first as its next. */
  readonly circular?: boolean;
}

/** Uncompressed TIFF 6.0, little endian, in forms that sharp reads but does not write. */
export function madeTiff(made: MadeTiff): Buffer {
  const parts: Buffer[] = [Buffer.from("II*\0\0\0\0\0", "latin1")];
  let length = 8;
  let pointer = { part: parts[0]!, at: 4 };
  const append = (bytes: Uint8Array): number => {
    const at = length;
    parts.push(Buffer.from(bytes));
    length += bytes.length + (bytes.length % 2);
    if (bytes.length % 2 === 1) parts.push(Buffer.alloc(1));
    return at;
  };
  for (const page of made.pages) {
    const bands = page.length / (made.width * made.height);
    const plane = made.width * made.height;
    const pixels = append(made.planar === true ? planes(page, bands) : page);
    const strips = made.planar === true ? bands : 1;
    const list = (value: (index: number) => number): number =>
      append(longs(Array.from({ length: strips }, (_, i) => value(i))));
    const offsets = strips === 1 ? pixels : list((index) => pixels + index * plane);
    const sizes = strips === 1 ? page.length : list(() => plane);
    const bits = bands === 1 ? 8 : append(Buffer.from(new Uint16Array(bands).fill(8).buffer));
    const entries: readonly (readonly [tag: number, type: 3 | 4, count: number, value: number])[] = [
      [256, 4, 1, made.width],
      [257, 4, 1, made.height],
      [258, 3, bands, bits],
      [259, 3, 1, 1],
      [262, 3, 1, bands === 3 ? 2 : made.whiteIsZero === true ? 0 : 1],
      [273, 4, strips, offsets],
      [277, 3, 1, bands],
      [278, 4, 1, made.height],
      [279, 4, strips, sizes],
      [284, 3, 1, made.planar === true ? 2 : 1],
    ];
    const directory = directoryOf(entries, made.tags ?? {});
    pointer.part.writeUInt32LE(append(directory), pointer.at);
    pointer = { part: parts.at(-1)!, at: directory.length - 4 };
  }
  if (made.circular === true) pointer.part.writeUInt32LE(parts[0]!.readUInt32LE(4), pointer.at);
  return Buffer.concat(parts);
}

function directoryOf(
  entries: readonly (readonly [tag: number, type: number, count: number, value: number])[],
  replaced: Readonly<Record<number, number>>,
): Buffer {
  const bytes = Buffer.alloc(2 + 12 * entries.length + 4);
  bytes.writeUInt16LE(entries.length, 0);
  for (const [index, [tag, type, count, value]] of entries.entries()) {
    const at = 2 + 12 * index;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(type, at + 2);
    bytes.writeUInt32LE(count, at + 4);
    bytes.writeUInt32LE(replaced[tag] ?? value, at + 8);
  }
  return bytes;
}

function planes(interleaved: Uint8Array, bands: number): Uint8Array {
  const pixels = interleaved.length / bands;
  return interleaved.map((_, i) => interleaved[(i % pixels) * bands + Math.floor(i / pixels)]!);
}

function longs(values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}
