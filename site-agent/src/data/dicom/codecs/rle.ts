import type { PixelModule } from "../pixel-module.js";
import { DicomProblem } from "../problem.js";
import { integers, type RawSamples } from "../samples.js";

const headerBytes = 64;

/**
 * RLE Lossless (PS3.5 annex G): one segment for each byte of each sample, the highest byte first.
 * @throws DicomProblem "truncated", "damaged"
 */
export function decodeRle(bytes: Uint8Array, pixels: PixelModule): RawSamples {
  const { rows, columns, samplesPerPixel, bitsAllocated, bitsStored, highBit, signed } = pixels;
  if (bitsAllocated === 1) throw new DicomProblem("unsupported-pixels", "run lengths of single bits");
  const width = (bitsAllocated / 8) as 1 | 2 | 4;
  const segments = readSegments(bytes, samplesPerPixel * width);
  const size = rows * columns;
  const stride = samplesPerPixel * width;
  const interleaved = new Uint8Array(size * stride);
  for (const [index, segment] of segments.entries()) {
    // Least significant first in memory: the segment's byte goes to the other end of its sample.
    const place = Math.floor(index / width) * width + (width - 1 - (index % width));
    unpack(segment, interleaved, { from: place, stride, count: size });
  }
  return { data: integers(interleaved, width), precision: bitsStored, highBit, signed, planar: false, isRgb: false };
}

function readSegments(bytes: Uint8Array, expected: number): readonly Uint8Array[] {
  if (bytes.length < headerBytes) throw new DicomProblem("truncated", "ends within its run lengths");
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const count = view.getUint32(0, true);
  if (count !== expected) throw new DicomProblem("damaged", `${count} segments of run lengths instead of ${expected}`);
  const offsets = Array.from({ length: count }, (_, index) => view.getUint32(4 + index * 4, true));
  return offsets.map((offset, index) => bytes.subarray(offset, offsets[index + 1] ?? bytes.length));
}

interface Target {
  readonly from: number;
  readonly stride: number;
  readonly count: number;
}

/** PackBits (PS3.5 G.3.2) into every so many bytes of the result. */
function unpack(segment: Uint8Array, result: Uint8Array, { from, stride, count }: Target): void {
  const end = from + count * stride;
  let to = from;
  for (let at = 0; to < end; ) {
    if (at >= segment.length) throw new DicomProblem("truncated", "its run lengths end early");
    const control = segment[at++]!;
    if (control === 128) continue;
    const isRun = control > 128;
    const length = isRun ? 257 - control : control + 1;
    for (let i = 0; i < length && to < end; i++, to += stride) result[to] = segment[isRun ? at : at + i] ?? 0;
    at += isRun ? 1 : length;
  }
}
