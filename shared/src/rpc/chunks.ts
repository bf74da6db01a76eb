import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConsiliumError } from "../errors.js";

/** A stretch of a byte stream; `offset` is its place in the whole. */
export interface Chunk {
  readonly offset: number;
  readonly data: Buffer;
}

/** Larger messages are hardly faster, and a window holds several of these. */
export const chunkBytes = 256 * 1024;

/** The chunks share memory with `bytes`. */
export function* chunksOfBytes(bytes: Uint8Array, fromOffset = 0): Generator<Chunk> {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = fromOffset; offset < whole.length; offset += chunkBytes) {
    yield { offset, data: whole.subarray(offset, offset + chunkBytes) };
  }
}

/** Holds one chunk in memory at a time. */
export async function* chunksOfFile(path: string, fromOffset = 0): AsyncGenerator<Chunk> {
  const file = await open(path, "r");
  try {
    for (let offset = fromOffset; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, offset);
      if (bytesRead === 0) return;
      yield { offset, data: buffer.subarray(0, bytesRead) };
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** Throws digest-mismatch for a gap, for more or fewer bytes than announced, and for a wrong SHA-256. */
export async function joinChunks(
  chunks: AsyncIterable<Chunk> | Iterable<Chunk>,
  expected: { totalBytes: number; digest?: Uint8Array },
): Promise<Buffer> {
  const whole = Buffer.alloc(expected.totalBytes);
  let position = 0;
  for await (const chunk of chunks) {
    const fresh = unseenPart(chunk, position, expected.totalBytes);
    fresh.copy(whole, position);
    position += fresh.length;
  }
  assertComplete(position, expected.totalBytes);
  if (expected.digest !== undefined) assertDigest(createHash("sha256").update(whole), expected.digest);
  return whole;
}

export interface SaveOptions {
  readonly path: string;
  readonly totalBytes: number;
  /** SHA-256 of the whole. */
  readonly digest: Uint8Array;
  readonly fetch: (fromOffset: number) => AsyncIterable<Chunk>;
}

/**
 * Receives a file. What arrived before an interruption is kept as `<path>.partial` and asked for no second time; the
 * file appears under its name only once it is whole, verified and on disk. Throws digest-mismatch.
 */
export async function saveChunks({ path, totalBytes, digest, fetch }: SaveOptions): Promise<void> {
  const partial = `${path}.partial`;
  const hash = createHash("sha256");
  const file = await open(partial, "a+");
  try {
    let position = await hashExisting(file, hash, totalBytes);
    if (position < totalBytes) {
      for await (const chunk of fetch(position)) {
        const fresh = unseenPart(chunk, position, totalBytes);
        await file.appendFile(fresh);
        hash.update(fresh);
        position += fresh.length;
      }
    }
    assertComplete(position, totalBytes);
    // site-check: checkpoint-digest
    assertDigest(hash, digest);
    await file.sync();
  } catch (thrown) {
    if (thrown instanceof ConsiliumError && thrown.code === "digest-mismatch") await rm(partial, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
  await rename(partial, path);
  await syncDirectory(dirname(path));
}

/** Bytes of `chunk` from `position` on: a sender may repeat what was received, but not skip. */
function unseenPart({ offset, data }: Chunk, position: number, totalBytes: number): Buffer {
  // site-check: chunk-gap
  if (offset > position) throw mismatch(`bytes ${position} to ${offset} are missing`);
  // site-check: chunk-surplus
  if (offset + data.length > totalBytes) throw mismatch(`more than the announced ${totalBytes} bytes arrived`);
  return data.subarray(Math.min(data.length, position - offset));
}

async function hashExisting(file: FileHandle, hash: Hash, totalBytes: number): Promise<number> {
  const { size } = await file.stat();
  if (size > totalBytes) {
    await file.truncate(0);
    return 0;
  }
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let position = 0;
  while (position < size) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  return position;
}

function assertComplete(received: number, totalBytes: number): void {
  if (received !== totalBytes) throw mismatch(`${received} of ${totalBytes} bytes arrived`, "interrupted");
}

function assertDigest(hash: Hash, expected: Uint8Array): void {
  if (!hash.digest().equals(expected)) throw mismatch("its SHA-256 is not the announced one");
}

function mismatch(reason: string, kind: "damaged" | "interrupted" = "damaged"): ConsiliumError {
  const code = kind === "damaged" ? "digest-mismatch" : "unreachable";
  return new ConsiliumError(code, `The received data cannot be used: ${reason}.`, {
    remedy: "It is fetched again; if this repeats, look for a proxy or a disk that changes data.",
  });
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
