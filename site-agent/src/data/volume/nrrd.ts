import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkedSpacing } from "./affine.js";
import { ByteStream, requireBytes } from "./byte-stream.js";
import { nrrdGeometry } from "./nrrd-geometry.js";
import { largestHeader, type NrrdStorage, nrrdStorage, parseNrrdFields } from "./nrrd-header.js";
import { bytesOf, isIntegerType, readSamples, readTextSamples } from "./samples.js";
import type { Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";
import { checkedVoxels, type VolumeLimits } from "./volume-limits.js";

/**
 * Reads NRRD (teem's format, NRRD0001 to 0005) with its voxels behind the header or in one file beside it; encodings
 * raw, gzip and ascii.
 * @throws VolumeFault; errors of the file system and of zlib as they are
 */
export async function readNrrd(path: string, limits: VolumeLimits): Promise<Volume> {
  const { fields, length } = parseNrrdFields(await firstBytes(path));
  const storage = nrrdStorage(fields);
  const { dims, affine } = nrrdGeometry(fields);
  const count = checkedVoxels(dims, bytesOf(storage.type), limits);
  const spacing = checkedSpacing(affine);
  const place =
    storage.dataFile === undefined
      ? { path, start: length }
      : { path: join(dirname(path), storage.dataFile), start: 0 };
  const data = await voxels(place, count, storage);
  return { format: "nrrd", data, dims, spacing, affine, integers: isIntegerType(storage.type) };
}

interface Place {
  readonly path: string;
  /** Where in the file the data begins. */
  readonly start: number;
}

async function firstBytes(path: string): Promise<Buffer> {
  const stream = ByteStream.open(path, { gzip: false });
  try {
    const start = await stream.upTo(largestHeader);
    if (start.length === 0) throw new VolumeFault("empty", "no bytes");
    return start;
  } finally {
    stream.close();
  }
}

async function voxels({ path, start: begin }: Place, count: number, storage: NrrdStorage): Promise<Float32Array> {
  const found = await stat(path);
  if (!found.isFile()) throw new VolumeFault("missing", "no file of voxels");
  const stored = found.size;
  const start = begin + (await lengthOfLines({ path, start: begin }, storage.lineSkip));
  const { encoding, type } = storage;
  if (encoding === "ascii") return textVoxels({ path, start }, count, stored - start, storage.byteSkip);
  const bytes = count * bytesOf(type);
  const gzip = encoding === "gzip";
  requireBytes(bytes + Math.max(0, storage.byteSkip), stored - start, gzip);
  const stream = ByteStream.open(path, { gzip, start: storage.byteSkip === -1 ? stored - bytes : start });
  try {
    await stream.skip(Math.max(0, storage.byteSkip));
    const layout = { type, littleEndian: storage.littleEndian, slope: 1, intercept: 0 };
    const data = await readSamples(stream.through(bytes), count, layout);
    await stream.verifyEnd();
    return data;
  } finally {
    stream.close();
  }
}

async function textVoxels(place: Place, count: number, stored: number, byteSkip: number): Promise<Float32Array> {
  // A digit and a space for each.
  requireBytes(2 * count - 1, stored, false);
  const stream = ByteStream.open(place.path, { gzip: false, start: place.start });
  try {
    await stream.skip(byteSkip);
    return await readTextSamples(pieces(stream), count);
  } finally {
    stream.close();
  }
}

async function* pieces(stream: ByteStream): AsyncGenerator<Buffer> {
  for (let piece = await stream.next(); piece !== undefined; piece = await stream.next()) yield piece;
}

/** Bytes of the lines that are passed over. */
async function lengthOfLines({ path, start }: Place, lines: number): Promise<number> {
  if (lines === 0) return 0;
  const stream = ByteStream.open(path, { gzip: false, start });
  try {
    const text = await stream.upTo(largestHeader);
    let at = 0;
    for (let line = 0; line < lines; line++) {
      at = text.indexOf(0x0a, at) + 1;
      if (at === 0) throw new VolumeFault("damaged", "the lines to pass over have no end");
    }
    return at;
  } finally {
    stream.close();
  }
}
