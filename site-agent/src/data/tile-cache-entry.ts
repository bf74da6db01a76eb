import { createHash } from "node:crypto";
import type { RgbImage } from "./image.js";

/**
 * An image as the cache keeps it: "CTC1", width and height (32-bit), spacing across and down (64-bit floats, NaN where
 * unknown), all little-endian; SHA-256 of these and of the pixels; the pixels. They are not compressed: PNG of level 1
 * would halve the size of a stained tile, but takes as long to decode as the tile takes from its slide.
 */
const magic = "CTC1";
const digestAt = 28;
const pixelsAt = 60;

export function encodeEntry({ width, height, data, spacing }: RgbImage): Buffer {
  const entry = Buffer.alloc(pixelsAt + data.byteLength);
  entry.write(magic, "latin1");
  entry.writeUInt32LE(width, 4);
  entry.writeUInt32LE(height, 8);
  entry.writeDoubleLE(spacing?.x ?? Number.NaN, 12);
  entry.writeDoubleLE(spacing?.y ?? Number.NaN, 20);
  entry.set(data, pixelsAt);
  digestOf(entry).copy(entry, digestAt);
  return entry;
}

/** @returns undefined for what is damaged, cut or something else */
export function decodeEntry(entry: Buffer): RgbImage | undefined {
  if (entry.length < pixelsAt || entry.toString("latin1", 0, 4) !== magic) return undefined;
  const [width, height] = [entry.readUInt32LE(4), entry.readUInt32LE(8)];
  if (width * height * 3 !== entry.length - pixelsAt) return undefined;
  if (!digestOf(entry).equals(entry.subarray(digestAt, pixelsAt))) return undefined;
  const data = new Uint8Array(entry.buffer, entry.byteOffset + pixelsAt, entry.length - pixelsAt);
  const spacing = { x: entry.readDoubleLE(12), y: entry.readDoubleLE(20) };
  return { width, height, data, ...(Number.isNaN(spacing.x) ? {} : { spacing }) };
}

function digestOf(entry: Buffer): Buffer {
  return createHash("sha256").update(entry.subarray(0, digestAt)).update(entry.subarray(pixelsAt)).digest();
}
