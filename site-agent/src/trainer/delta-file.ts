import { createHash } from "node:crypto";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../durable-file.js";
import { bytesOf } from "./checkpoint-vector.js";

export interface DeltaFile {
  readonly path: string;
  /** SHA-256 of the file, hex. */
  readonly digest: string;
}

const deltaName = /^delta-\d+\.f32$/;

export function deltaPath(directory: string, round: number): string {
  return join(directory, `delta-${round}.f32`);
}

/** Scalars that are written at once. */
const blockLength = 1 << 20;

/**
 * Writes trained minus checkpoint as raw little-endian float32.
 * @throws ConsiliumError "storage"
 */
export async function writeDelta(
  path: string,
  { trained, checkpoint }: { trained: Float32Array; checkpoint: Float32Array },
): Promise<DeltaFile> {
  const hash = createHash("sha256");
  await replaceFile(path, async (temporaryPath) => {
    const file = await open(temporaryPath, "w");
    try {
      for (let start = 0; start < trained.length; start += blockLength) {
        const block = trained.slice(start, start + blockLength);
        for (let index = 0; index < block.length; index++) block[index]! -= checkpoint[start + index]!;
        hash.update(bytesOf(block));
        await file.writeFile(bytesOf(block));
      }
      await file.sync();
    } finally {
      await file.close();
    }
  });
  return { path, digest: hash.digest("hex") };
}

export async function removeOtherDeltas(directory: string, round: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (deltaName.test(name) && path !== deltaPath(directory, round)) await rm(path, { force: true });
  }
}
