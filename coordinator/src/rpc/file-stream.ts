import { type FileHandle, open } from "node:fs/promises";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Chunk } from "@consilium/shared/rpc/gen/tensor.js";

/** Best throughput of gRPC over TLS on one connection; larger messages gain nothing. */
const chunkBytes = 256 * 1024;

/** A file's bytes from `offset` to its end. @throws ConsiliumError "not-found" for an offset behind the end. */
export async function* streamFile(path: string, offset: number): AsyncGenerator<Chunk> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    if (offset > size) throw new ConsiliumError("not-found", `the file has ${size} bytes; ${offset} is behind its end`);
    for (let at = offset; at < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      yield { offset: at, data: buffer.subarray(0, bytesRead) };
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    throw new ConsiliumError("not-found", "the checkpoint or sum is no longer kept", {
      remedy: "choose a newer round; the coordinator's settings say how many it keeps",
      cause,
    });
  }
}
