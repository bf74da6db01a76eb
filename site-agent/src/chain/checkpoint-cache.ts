import { mkdir, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { StoredFile } from "@consilium/shared/checkpoint/digest-file.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { saveChunks } from "@consilium/shared/rpc/chunks.js";
import type { CheckpointChunk } from "../round/coordinator.js";
import { fileDigest, fileSize } from "./hashing.js";

/** Which checkpoint is wanted, and how to get what is missing of it. */
export interface WantedCheckpoint {
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  readonly bytes: number;
  readonly fetch: (fromOffset: number) => AsyncIterable<CheckpointChunk>;
  /** Repeats a download that was cut. */
  readonly persistently: (download: () => Promise<void>) => Promise<void>;
}

const suffix = ".safetensors";

/** Checkpoints by digest, on disk. A download that was cut goes on where it stopped, also after a restart. */
export class CheckpointCache {
  readonly #directory: string;
  readonly #keep: number;
  readonly #verified = new Set<string>();

  constructor(directory: string, keep = 2) {
    this.#directory = directory;
    this.#keep = keep;
  }

  /**
   * Path of a file with exactly the wanted content.
   * @throws ConsiliumError "digest-mismatch" when the coordinator's bytes twice have another digest.
   */
  async obtain(wanted: WantedCheckpoint): Promise<string> {
    const digest = hex(wanted.digest);
    const path = join(await this.open(), `${digest}${suffix}`);
    if (!(await this.#holds(path, { digest, bytes: wanted.bytes }))) await download(path, wanted);
    this.#verified.add(digest);
    return this.use(digest);
  }

  /** The folder, for what is worked out to be written beside what is kept. */
  async open(): Promise<string> {
    await mkdir(this.#directory, { recursive: true });
    return this.#directory;
  }

  /** Takes over a checkpoint that was written into the folder. */
  adopt({ digest }: StoredFile): Promise<string> {
    this.#verified.add(digest);
    return this.use(digest);
  }

  /** The path of a checkpoint whose bytes are those of its digest. @param digest hex */
  async find(digest: string): Promise<string | undefined> {
    const path = join(this.#directory, `${digest}${suffix}`);
    if (!(await this.#holds(path, { digest }))) return undefined;
    this.#verified.add(digest);
    return path;
  }

  /** A kept checkpoint is in use now: it goes last. */
  async use(digest: string): Promise<string> {
    const path = join(this.#directory, `${digest}${suffix}`);
    const now = new Date();
    await utimes(path, now, now);
    await this.#prune(path);
    return path;
  }

  /** The checkpoint used last before this one, if it is kept. */
  async earlierThan(path: string): Promise<string | undefined> {
    const [latest] = (await this.#others(path)).filter(({ name }) => name.endsWith(suffix));
    return latest === undefined ? undefined : join(this.#directory, latest.name);
  }

  async #holds(path: string, { digest, bytes }: { digest: string; bytes?: number }): Promise<boolean> {
    const size = await fileSize(path);
    if (size === undefined) return false;
    if ((bytes ?? size) === size && (this.#verified.has(digest) || (await fileDigest(path)) === digest)) return true;
    await rm(path, { force: true });
    return false;
  }

  /** Keeps the checkpoints used last; everything else, cut downloads included, goes. */
  async #prune(current: string): Promise<void> {
    const aged = await this.#others(current);
    const kept = new Set(aged.filter(({ name }) => name.endsWith(suffix)).slice(0, this.#keep - 1));
    const surplus = aged.filter((entry) => !kept.has(entry));
    await Promise.all(surplus.map(({ name }) => rm(join(this.#directory, name), { force: true })));
  }

  /** Every file but this, the one used last first. */
  async #others(path: string): Promise<{ readonly name: string; readonly usedMs: number }[]> {
    const names = (await readdir(this.#directory)).filter((name) => join(this.#directory, name) !== path);
    const aged = await Promise.all(
      names.map(async (name) => ({ name, usedMs: (await stat(join(this.#directory, name))).mtimeMs })),
    );
    return aged.sort((a, b) => b.usedMs - a.usedMs);
  }
}

/** Tries again from nothing after a mismatch: the first try may have continued a file that a crash had torn. */
async function download(path: string, { digest, bytes, fetch, persistently }: WantedCheckpoint): Promise<void> {
  const save = () => persistently(() => saveChunks({ path, totalBytes: bytes, digest, fetch }));
  try {
    await save();
  } catch (error) {
    if (!(error instanceof ConsiliumError) || error.code !== "digest-mismatch") throw error;
    await save();
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
