/** A field of a TIFF directory (TIFF 6.0, section 2): its tag, its type, and its values or their count when these are forged. */
export interface TiffField {
  readonly tag: number;
  readonly type: "ascii" | "short" | "long" | "rational";
  readonly values: readonly number[] | string;
  /** Instead of the number of values. */
  readonly count?: number;
}

export interface TiffOptions {
  readonly bigEndian?: boolean;
  /** Number of the directory to which the last one leads back; absent: the chain ends. */
  readonly backTo?: number;
}

const types = { ascii: [2, 1], short: [3, 2], long: [4, 4], rational: [5, 8] } as const;

/** Writes a classic TIFF of the given directories. @param pixels lie at byte 8 */
export function tiffOf(
  directories: readonly (readonly TiffField[])[],
  pixels: Uint8Array,
  options: TiffOptions = {},
): Buffer {
  const { bigEndian = false, backTo } = options;
  const parts: Buffer[] = [];
  const offsets: number[] = [];
  let end = 8 + pixels.length + (pixels.length % 2);
  for (const fields of directories) {
    offsets.push(end);
    const built = directory(fields, end, bigEndian);
    parts.push(built);
    end += built.length;
  }
  for (const [index, part] of parts.entries()) {
    const next = index + 1 < parts.length ? offsets[index + 1]! : backTo === undefined ? 0 : offsets[backTo]!;
    write(part, 2 + directories[index]!.length * 12, next, 4, bigEndian);
  }
  const header = Buffer.alloc(8);
  header.write(bigEndian ? "MM" : "II", "latin1");
  write(header, 2, 42, 2, bigEndian);
  write(header, 4, offsets[0]!, 4, bigEndian);
  return Buffer.concat([header, pixels, Buffer.alloc(pixels.length % 2), ...parts]);
}

function directory(fields: readonly TiffField[], at: number, bigEndian: boolean): Buffer {
  const head = Buffer.alloc(2 + fields.length * 12 + 4);
  const values: Buffer[] = [];
  let valuesAt = at + head.length;
  write(head, 0, fields.length, 2, bigEndian);
  for (const [index, field] of [...fields].sort((a, b) => a.tag - b.tag).entries()) {
    const entry = 2 + index * 12;
    const encoded = encode(field, bigEndian);
    write(head, entry, field.tag, 2, bigEndian);
    write(head, entry + 2, types[field.type][0], 2, bigEndian);
    const perValue = types[field.type][1];
    write(head, entry + 4, field.count ?? encoded.length / perValue, 4, bigEndian);
    if (encoded.length <= 4 && field.count === undefined) {
      encoded.copy(head, entry + 8);
    } else {
      write(head, entry + 8, valuesAt, 4, bigEndian);
      values.push(encoded, Buffer.alloc(encoded.length % 2));
      valuesAt += encoded.length + (encoded.length % 2);
    }
  }
  return Buffer.concat([head, ...values]);
}

function encode({ type, values }: TiffField, bigEndian: boolean): Buffer {
  if (typeof values === "string") return Buffer.from(`${values}\0`, "latin1");
  const size = type === "short" ? 2 : 4;
  const encoded = Buffer.alloc(values.length * size);
  for (const [index, value] of values.entries()) write(encoded, index * size, value, size, bigEndian);
  return encoded;
}

function write(target: Buffer, at: number, value: number, size: 2 | 4, bigEndian: boolean): void {
  if (bigEndian) target.writeUIntBE(value, at, size);
  else target.writeUIntLE(value, at, size);
}

export interface TiledImage {
  readonly width: number;
  readonly height: number;
  readonly tile: number;
  readonly description?: string;
  /** Instead of 1, which is no compression. */
  readonly compression?: number;
  /** Pixels per centimetre. */
  readonly resolution?: number;
}

/** Directory of an uncompressed tiled RGB image, each tile of which is the same: the pixels at byte 8. */
export function tiledImage({ width, height, tile, description, compression = 1, resolution }: TiledImage): TiffField[] {
  const count = Math.min(4096, Math.ceil(width / tile) * Math.ceil(height / tile));
  const field = (tag: number, type: TiffField["type"], values: TiffField["values"]): TiffField => ({
    tag,
    type,
    values,
  });
  return [
    field(256, "long", [width]),
    field(257, "long", [height]),
    field(258, "short", [8, 8, 8]),
    field(259, "short", [compression]),
    field(262, "short", [2]),
    field(277, "short", [3]),
    field(284, "short", [1]),
    field(322, "long", [tile]),
    field(323, "long", [tile]),
    field(324, "long", new Array<number>(count).fill(8)),
    field(325, "long", new Array<number>(count).fill(Math.min(0xffffffff, tile * tile * 3))),
    ...(description === undefined ? [] : [field(270, "ascii", description)]),
    ...(resolution === undefined
      ? []
      : [field(282, "rational", [resolution, 1]), field(283, "rational", [resolution, 1]), field(296, "short", [3])]),
  ];
}
