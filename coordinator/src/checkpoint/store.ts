import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { unfinishedPrefix } from "@consilium/shared/checkpoint/digest-file.js";
import { checkpointName, type StoredCheckpoint, writeCheckpoint } from "@consilium/shared/checkpoint/writer.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";

const digestPattern = /^[0-9a-f]{64}$/;

/** A directory of checkpoints, each a safetensors file named after the SHA-256 of its bytes. One process owns it. */
export class CheckpointStore {
  readonly directory: string;

  /** Creates the directory and removes what a process left unfinished. */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) {
      if (name.startsWith(unfinishedPrefix)) rmSync(join(directory, name), { force: true });
    }
  }

  /** @throws ConsiliumError "not-found" for text that is no digest */
  pathOf(digest: string): string {
    if (!digestPattern.test(digest)) {
      throw new ConsiliumError("not-found", `${JSON.stringify(digest)} is no checkpoint digest`);
    }
    return join(this.directory, checkpointName(digest));
  }

  /** In bytes. @throws ConsiliumError "not-found" */
  requireSize(digest: string): number {
    const facts = statSync(this.pathOf(digest), { throwIfNoEntry: false });
    if (facts === undefined) throw new ConsiliumError("not-found", `there is no checkpoint ${digest}`);
    return facts.size;
  }

  async has(digest: string): Promise<boolean> {
    return (await this.#sizeOf(digest)) !== undefined;
  }

  /**
   * The checkpoint after reading it whole.
   * @throws ConsiliumError "not-found", or "digest-mismatch" when the bytes are not those of its name
   */
  async open(digest: string): Promise<StoredCheckpoint> {
    const path = this.pathOf(digest);
    const bytes = await this.#sizeOf(digest);
    if (bytes === undefined) throw new ConsiliumError("not-found", `there is no checkpoint ${digest}`);
    const hash = createHash("sha256");
    await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
    if (hash.digest("hex") !== digest) {
      throw new ConsiliumError("digest-mismatch", `the checkpoint ${path} was damaged on disk`, {
        remedy: "restore the file from a backup, or resume the run from an earlier checkpoint",
      });
    }
    return { digest, path, bytes };
  }

  /** Stores the values that a run begins with, given in parts. The same arguments give the same digest. */
  writeInitial(
    layout: ParameterLayout,
    parts: Iterable<Float32Array> | AsyncIterable<Float32Array>,
    metadata: Readonly<Record<string, string>>,
  ): Promise<StoredCheckpoint> {
    const { parameters: tensors, dimension } = layout;
    return writeCheckpoint(this.directory, { tensors, dimension, metadata }, parts);
  }

  async remove(digest: string): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  async #sizeOf(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(digest))).size;
    } catch {
      return undefined;
    }
  }
}
