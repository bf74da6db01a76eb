import { promisify } from "node:util";
import { inflateRaw } from "node:zlib";
import { Attributes } from "./attributes.js";
import { type ByteSource, memoryBytes } from "./byte-source.js";
import type { Encoding } from "./encoding.js";
import { type Preface, readPreface } from "./file-meta.js";
import { type DataSet, ElementReader } from "./parser.js";
import { locatePixels, type PixelLocation } from "./pixel-location.js";
import { DicomProblem } from "./problem.js";
import { keptTags, pixelTags } from "./tags.js";

export interface Layout {
  readonly encoding: Encoding;
  /** The kept elements only. They refer to the bytes of the header: read what is needed and let go of them. */
  readonly attributes: Attributes;
  readonly pixels: PixelLocation | undefined;
}

/** Enough for the header of most files. */
const firstRead = 64 * 1024;
const growth = 8;
/** Everything before the pixels; slides with very many frames have long ones. */
const maxHeaderBytes = 32 * 1024 ** 2;
const defaultInflatedBytes = 512 * 1024 ** 2;

const inflate = promisify(inflateRaw);

export interface OpenedBytes extends Preface {
  /** What `offset` and all locations refer to: the file, or what was inflated of it. */
  readonly bytes: ByteSource;
}

/**
 * Reads the beginning of a file and inflates the data set where it is deflated (PS3.5 A.5).
 * @param maxInflatedBytes of a deflated data set
 * @throws DicomProblem "empty", "unsupported-format", "truncated", "file-too-large"
 */
export async function openBytes(file: ByteSource, maxInflatedBytes = defaultInflatedBytes): Promise<OpenedBytes> {
  if (file.size === 0) throw new DicomProblem("empty", "has no bytes");
  const preface = readPreface(await file.read(0, Math.min(file.size, firstRead)));
  if (!preface.encoding.deflated) return { ...preface, bytes: file };
  const deflated = await file.read(preface.offset, file.size - preface.offset);
  return { ...preface, offset: 0, bytes: memoryBytes(await inflated(deflated, maxInflatedBytes)) };
}

async function inflated(deflated: Uint8Array, maxOutputLength: number): Promise<Uint8Array> {
  try {
    return await inflate(deflated, { maxOutputLength });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE")
      throw new DicomProblem("file-too-large", `inflates to more than ${maxOutputLength} bytes`);
    if (code === "Z_BUF_ERROR") throw new DicomProblem("truncated", "its deflated data end early");
    throw new DicomProblem("damaged", "its deflated data are damaged");
  }
}

/**
 * Parses what comes before the pixels, reading more of the file only as the header asks for it.
 * @throws DicomProblem
 */
export async function readLayout({ bytes, offset, encoding }: OpenedBytes): Promise<Layout> {
  for (let length = firstRead; ; length *= growth) {
    const isWhole = offset + length >= bytes.size;
    const end = isWhole ? bytes.size : offset + length;
    const found = walk(await bytes.read(offset, end - offset), encoding, isWhole);
    if (found !== undefined) {
      const { attributes, pixelOffset } = found;
      const pixels = pixelOffset === undefined ? undefined : await locatePixels(bytes, offset + pixelOffset, encoding);
      return { encoding, attributes, pixels };
    }
    if (length * growth > maxHeaderBytes) throw new DicomProblem("file-too-large", "its header has more than 32 MiB");
  }
}

interface Walked {
  readonly attributes: Attributes;
  readonly pixelOffset: number | undefined;
}

/** @returns undefined when the buffer ends before the header does */
function walk(buffer: Uint8Array, encoding: Encoding, isWhole: boolean): Walked | undefined {
  if (buffer.length === 0) throw new DicomProblem("truncated", "ends before its data set");
  const reader = new ElementReader(buffer, 0, encoding);
  const elements: DataSet["elements"] = {};
  const walked = (pixelOffset: number | undefined): Walked => {
    return { attributes: new Attributes(reader.dataSet(elements)), pixelOffset };
  };
  try {
    while (reader.hasMore) {
      const tag = reader.peekTag();
      if (tag >= pixelTags.first) return walked(reader.position);
      const element = reader.next();
      if (reader.ranOut) throw new DicomProblem("truncated", "ends within its header");
      if (keptTags.has(tag)) elements[element.tag] = element;
    }
  } catch (thrown) {
    if (isWhole) throw thrown;
    return undefined;
  }
  return isWhole ? walked(undefined) : undefined;
}
