import { stat } from "node:fs/promises";
import { checkedSpacing } from "./affine.js";
import { ByteStream, requireBytes } from "./byte-stream.js";
import { niftiHeaderBytes, parseNiftiHeader } from "./nifti-header.js";
import { bytesOf, isIntegerType, readSamples } from "./samples.js";
import type { Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";
import { checkedVoxels, type VolumeLimits } from "./volume-limits.js";

/**
 * Reads NIfTI, packed by gzip or not. Of a file with several frames, such as those of a perfusion or functional series,
 * the first: the others show the same anatomy.
 * @throws VolumeFault; errors of the file system and of zlib as they are
 */
export async function readNifti(path: string, limits: VolumeLimits): Promise<Volume> {
  const stored = (await stat(path)).size;
  const gzip = await isGzip(path);
  const stream = ByteStream.open(path, { gzip });
  try {
    const start = await stream.upTo(niftiHeaderBytes);
    const { dims, affine, layout, offset, declaredLabels, window } = parseNiftiHeader(start);
    const count = checkedVoxels(dims, bytesOf(layout.type), limits);
    const spacing = checkedSpacing(affine);
    requireBytes(offset + count * bytesOf(layout.type), stored, gzip);
    const early = start.subarray(Math.min(offset, start.length));
    await stream.skip(Math.max(0, offset - start.length));
    const pieces = after(early, stream, count * bytesOf(layout.type));
    const data = await readSamples(pieces, count, layout);
    await stream.verifyEnd();
    return {
      format: "nifti",
      data,
      dims,
      spacing,
      affine,
      declaredLabels,
      integers: isIntegerType(layout.type) && layout.slope === 1 && Number.isInteger(layout.intercept),
      ...(window === undefined ? {} : { window }),
    };
  } finally {
    stream.close();
  }
}

/** `count` bytes of which the first were read with the header. */
async function* after(early: Buffer, stream: ByteStream, count: number): AsyncGenerator<Buffer> {
  const first = early.subarray(0, count);
  if (first.length > 0) yield first;
  yield* stream.through(count - first.length);
}

async function isGzip(path: string): Promise<boolean> {
  const stream = ByteStream.open(path, { gzip: false });
  try {
    const first = await stream.next();
    if (first === undefined) throw new VolumeFault("empty", "no bytes");
    return first[0] === 0x1f && first[1] === 0x8b;
  } finally {
    stream.close();
  }
}
