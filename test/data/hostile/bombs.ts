import { crc32, createDeflate, createGzip, type Deflate, type Gzip, gzipSync } from "node:zlib";
import { madeTiff } from "../../../site-agent/src/data/testing/made-tiff.js";
import { madeSlice } from "../../../site-agent/src/data/volume/testing/made-series.js";
import { madeNifti, madeNrrd } from "../../../site-agent/src/data/volume/testing/made-volumes.js";
import { damaged, type HostileFile } from "./hostile-file.js";

/** Small files that claim to be, or unpack to, very large ones. */

/** Headers that claim more than 10^9 pixels or voxels. Nothing behind them is read. */
export function headerBombs(): readonly HostileFile[] {
  const large = ["too-many-pixels"];
  return [
    { source: "folder", id: "header.png", bytes: png(40_000, 40_000, Buffer.alloc(20)), allowed: large },
    {
      source: "folder",
      id: "interlaced.png",
      bytes: png(19_000, 20_000, Buffer.alloc(20), { interlaced: true }),
      allowed: large,
    },
    { source: "folder", id: "header.jpg", bytes: jpegHeader(65_000, 65_000), allowed: large },
    { source: "folder", id: "header.tif", bytes: tiffHeader(60_000, 60_000), allowed: large },
    { source: "folder", id: "header.webp", bytes: webpHeader(16_383, 16_383), allowed: large },
    { source: "folder", id: "wide.webp", bytes: webpHeader(1 << 24, 1 << 24), allowed: damaged },
    { source: "folder", id: "below.png", bytes: png(19_000, 20_000, Buffer.alloc(20)), allowed: damaged },
    { source: "dicom", id: "header.dcm", bytes: claimedObject(65_000, 65_000), allowed: ["too-many-pixels"] },
    { source: "volume", id: "header.nii", bytes: claimedNifti([30_000, 30_000, 30_000]), allowed: large },
    { source: "volume", id: "header.nii.gz", bytes: gzipSync(claimedNifti([2000, 1000, 1000])), allowed: large },
    { source: "volume", id: "below.nii.gz", bytes: gzipSync(claimedNifti([1000, 1000, 380])), allowed: ["truncated"] },
    {
      source: "volume",
      id: "header.nrrd",
      bytes: madeNrrd({ fields: { sizes: "100000 100000 1000" } }),
      allowed: large,
    },
    {
      source: "slide",
      id: "header.svs",
      bytes: tiffHeader(0x7fff_ffff, 0x7fff_ffff),
      allowed: [...damaged, "missing", "no-tissue"],
    },
  ];
}

/**
 * Files that unpack to what they claim, below the limits.
 * @param pixels of each
 */
export async function unpackingBombs(pixels: number): Promise<readonly HostileFile[]> {
  const side = Math.floor(Math.sqrt(pixels));
  const zeros = await packed(createDeflate(), side * (side + 1));
  const volume = [side, side, 1] as const;
  const nifti = Buffer.concat([claimedNifti(volume).subarray(0, 352)]);
  return [
    { source: "folder", id: "unpacks.png", bytes: png(side, side, zeros), allowed: ["read"] },
    { source: "folder", id: "unpacks.tif", bytes: deflatedTiff(side, zeros), allowed: ["read"] },
    {
      source: "volume",
      id: "unpacks.nii.gz",
      bytes: await packed(createGzip(), side * side, nifti),
      allowed: ["no-tissue"],
    },
    {
      source: "volume",
      id: "tail.nii.gz",
      bytes: await packed(createGzip(), pixels, madeNifti({ dims: [4, 4, 4] }).subarray(0, 416)),
      allowed: ["too-small"],
    },
    { source: "folder", id: "packed.png", bytes: await packed(createGzip(), pixels), allowed: ["unsupported-format"] },
    {
      source: "folder",
      id: "comment.png",
      bytes: png(8, 8, await packed(createDeflate(), 8 * 9), { text: zeros }),
      allowed: ["read", ...damaged],
    },
  ];
}

/** @param before what comes first of the unpacked bytes @param zeros how many follow it */
async function packed(packer: Gzip | Deflate, zeros: number, before: Uint8Array = Buffer.alloc(0)): Promise<Buffer> {
  const parts: Buffer[] = [];
  const done = new Promise<void>((resolve, reject) => packer.on("end", resolve).on("error", reject));
  packer.on("data", (part: Buffer) => parts.push(part));
  packer.write(before);
  const block = Buffer.alloc(1 << 20);
  for (let left = zeros; left > 0; left -= block.length) {
    if (!packer.write(block.subarray(0, Math.min(left, block.length)))) {
      await new Promise((resolve) => packer.once("drain", resolve));
    }
  }
  packer.end();
  await done;
  return Buffer.concat(parts);
}

/** 8-bit grey. @param packedRows with a filter's byte before each row */
function png(
  width: number,
  height: number,
  packedRows: Uint8Array,
  { interlaced = false, text }: { interlaced?: boolean; text?: Uint8Array } = {},
): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[12] = interlaced ? 1 : 0;
  const comment =
    text === undefined ? [] : [chunk("zTXt", Buffer.concat([Buffer.from("Comment\0\0", "latin1"), text]))];
  const parts = [chunk("IHDR", header), ...comment, chunk("IDAT", packedRows), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), ...parts]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

function jpegHeader(width: number, height: number): Buffer {
  const frame = Buffer.from("ffd8ffc0000b0800000000010111 00".replaceAll(" ", ""), "hex");
  frame.writeUInt16BE(height, 7);
  frame.writeUInt16BE(width, 9);
  return Buffer.concat([frame, Buffer.from("ffda0008010100003f00", "hex"), Buffer.alloc(50)]);
}

function tiffHeader(width: number, height: number): Buffer {
  return madeTiff({ width: 8, height: 8, pages: [new Uint8Array(64)], tags: { 256: width, 257: height } });
}

/** One strip with all rows, for which a decoder may want all memory at once. */
function deflatedTiff(side: number, packedRows: Uint8Array): Buffer {
  const at = 256;
  const tags = { 256: side, 257: side, 259: 8, 273: at, 278: side, 279: packedRows.length };
  const header = madeTiff({ width: 8, height: 8, pages: [new Uint8Array(64)], tags });
  return Buffer.concat([header, Buffer.alloc(at - header.length), packedRows]);
}

/** Lossless: 14 bits for each side less one, or the canvas of an extended file. */
function webpHeader(width: number, height: number): Buffer {
  const body = Buffer.alloc(32);
  const isExtended = width > 16_384;
  const name = isExtended ? "VP8X" : "VP8L";
  if (isExtended) {
    body.writeUIntLE(width - 1, 4, 3);
    body.writeUIntLE(height - 1, 7, 3);
  } else {
    body[0] = 0x2f;
    body.writeUInt32LE(((width - 1) | ((height - 1) << 14)) >>> 0, 1);
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  const rest = Buffer.concat([Buffer.from(`WEBP${name}`), length, body]);
  const whole = Buffer.alloc(4);
  whole.writeUInt32LE(rest.length);
  return Buffer.concat([Buffer.from("RIFF"), whole, rest]);
}

function claimedNifti(dims: readonly [number, number, number]): Buffer {
  return madeNifti({ dims, voxels: new Uint8Array(100) });
}

function claimedObject(columns: number, rows: number): Buffer {
  return madeSlice({ columns, rows, voxels: new Int16Array(64), position: [0, 0, 0] });
}
