import { open as openFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import sharp, { type Metadata, type Sharp } from "sharp";
import type { RgbImage } from "./image.js";
import "./loaders.js";
import { UnreadableImage, type UnreadableReason } from "./source.js";
import { storageFailure } from "./storage-failure.js";

export interface DecodeLimits {
  readonly maxPixels: number;
  readonly maxFileBytes: number;
}

export interface ImageFacts {
  readonly format: string;
  /** Before rotation by EXIF. */
  readonly width: number;
  readonly height: number;
}

export interface DecodeOptions {
  readonly id: string;
  /** Short side of the result in pixels; smaller images keep their size. */
  readonly workingSize: number;
  readonly limits: DecodeLimits;
}

/** Integer samples up to 16 bits have a defined way to 8 bits; floats and wide integers do not. */
const knownDepths = new Set(["uchar", "ushort"]);

function open(path: string, maxPixels: number): Sharp {
  return sharp(path, { failOn: "error", limitInputPixels: maxPixels, sequentialRead: true, autoOrient: true });
}

/**
 * Reads the header only.
 * @throws UnreadableImage
 */
export async function readFacts(path: string, { id, limits }: Omit<DecodeOptions, "workingSize">): Promise<ImageFacts> {
  return readable(path, id, async () => {
    await checkFile(path, { id, limits });
    return checkedFacts(open(path, limits.maxPixels), id, limits);
  });
}

/**
 * Decodes to interleaved 8-bit sRGB: upright by EXIF, first page, colour profile applied, transparency on black.
 * @throws UnreadableImage for this file; ConsiliumError "input-unreadable" when the storage fails.
 */
export async function decodeFile(path: string, options: DecodeOptions): Promise<RgbImage> {
  return readable(path, options.id, async () => {
    await checkFile(path, options);
    const image = open(path, options.limits.maxPixels);
    await checkedFacts(image, options.id, options.limits);
    const { data, info } = await image
      .resize(options.workingSize, options.workingSize, { fit: "outside", withoutEnlargement: true })
      .flatten({ background: "#000000" })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: asRgb(data, info.channels) };
  });
}

/** What is no file, such as a pipe, could keep a decoder waiting for ever. */
async function checkFile(path: string, { id, limits }: Omit<DecodeOptions, "workingSize">): Promise<void> {
  const found = await stat(path);
  if (!found.isFile()) throw new UnreadableImage(id, "missing", { detail: "no file" });
  const { size } = found;
  if (size === 0) throw new UnreadableImage(id, "empty");
  if (size > limits.maxFileBytes) {
    throw new UnreadableImage(id, "file-too-large", { detail: `${size} of at most ${limits.maxFileBytes} bytes` });
  }
}

async function checkedFacts(image: Sharp, id: string, limits: DecodeLimits): Promise<ImageFacts> {
  const metadata = await image.metadata();
  const { format, width, height, depth } = metadata;
  if (width * height > limits.maxPixels) {
    throw new UnreadableImage(id, "too-many-pixels", { detail: `${width}×${height}, at most ${limits.maxPixels}` });
  }
  if (depth !== undefined && !knownDepths.has(depth)) {
    throw new UnreadableImage(id, "unsupported-pixels", { detail: `samples of type ${depth}` });
  }
  if (bytesHeld(metadata) > mostBytesHeld) {
    throw new UnreadableImage(id, "too-many-pixels", { detail: `${width}×${height} that cannot be read row by row` });
  }
  return { format, width, height };
}

/** For images that are decoded as a whole; a small file can claim any size. */
const mostBytesHeld = 256 * 1024 ** 2;

/** Memory that the decoder takes for the whole image; other forms are decoded row by row. */
function bytesHeld({ format, width, height, channels, depth, isProgressive, chromaSubsampling }: Metadata): number {
  const samples = width * height * channels;
  if (format === "webp") return samples;
  if (!isProgressive) return 0;
  // JPEG keeps coefficients of two bytes, of colours perhaps only one for four pixels.
  if (format === "jpeg") return 2 * (chromaSubsampling?.startsWith("4:2:0") === true ? samples / 2 : samples);
  return depth === "ushort" ? 2 * samples : samples;
}

/** Bands → RGB: one grey band is repeated; a fourth band is left over only where libvips could not flatten it. */
function asRgb(data: Buffer, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    for (let band = 0; band < 3; band++) rgb[i * 3 + band] = data[i * channels + (channels < 3 ? 0 : band)]!;
  }
  return rgb;
}

async function readable<T>(path: string, id: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) throw thrown;
    throw await explain(path, id, thrown);
  }
}

/** The file's own state explains more than the decoder's message. */
async function explain(path: string, id: string, cause: unknown): Promise<ConsiliumError> {
  const message = cause instanceof Error ? cause.message : String(cause);
  if ((cause as NodeJS.ErrnoException).code !== undefined) return storageFailure(id, cause);
  try {
    const { size } = await stat(path);
    if (size === 0) return new UnreadableImage(id, "empty");
    const said = reasonFor(message);
    const reason = said === "unsupported-format" && (await beginsAsImage(path)) ? "damaged" : said;
    return new UnreadableImage(id, reason, { detail: quoted(message, path) });
  } catch (failure) {
    return storageFailure(id, failure);
  }
}

/** JPEG, PNG, TIFF (both byte orders, classic and BigTIFF) and RIFF, which holds WebP. */
const firstBytes = ["ffd8ff", "89504e47", "49492a00", "4d4d002a", "49492b00", "4d4d002b", "52494646"];

/** A TIFF whose end is missing has lost its directory, and libvips then takes it for no image at all. */
async function beginsAsImage(path: string): Promise<boolean> {
  const file = await openFile(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const hex = buffer.subarray(0, bytesRead).toString("hex");
    return firstBytes.some((start) => hex.startsWith(start));
  } finally {
    await file.close();
  }
}

/** The first line of a decoder's message, without the file's name, which some quote. */
function quoted(message: string, path: string): string {
  return message.split("\n")[0]!.replaceAll(path, "the file").replaceAll(basename(path), "the file").trim();
}

function reasonFor(message: string): UnreadableReason {
  if (/unsupported image format|no known loader|not a known file format|operation is blocked/i.test(message))
    return "unsupported-format";
  if (/pixel limit|exceeds.*limit/i.test(message)) return "too-many-pixels";
  if (/permission denied/i.test(message)) return "no-permission";
  if (/truncated|premature end|unexpected end|end of (file|stream)|out of data|short read/i.test(message))
    return "truncated";
  return "damaged";
}
