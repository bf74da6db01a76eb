import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import { failpoint } from "../failpoint.js";

/** A masked vector on disk, complete and flushed. */
export interface SpooledUpload {
  /** Relative to the spool's root, so that the home directory may move. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: Uint8Array;
}

export interface SpoolWriter {
  write(chunk: Uint8Array): Promise<void>;
  readonly bytes: number;
  /** SHA-256 of what was written; nothing can be written afterwards. */
  digest(): Uint8Array;
  /** Makes the file durable under its final name. */
  keep(): Promise<SpooledUpload>;
  /** Removes what was written; harmless after keep. */
  discard(): Promise<void>;
}

/** More streams of one site than its reconnects explain could fill the disk for everyone. */
const mostOpenForSite = 4;

/** Masked vectors on their way to the sum: `<root>/<run>/<round>/<attempt>/<site>-<digest>.masked`. */
export class UploadSpool {
  readonly #root: string;
  readonly #open = new Map<string, number>();
  #sequence = 0;

  constructor(root: string) {
    this.#root = resolve(root);
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  pathOf(upload: { readonly path: string }): string {
    return join(this.#root, upload.path);
  }

  /**
   * A site that reconnects may overlap its own earlier stream, so every writer has its own unfinished file, and the
   * final name carries the digest: no stream can replace what another one stored.
   * @throws ConsiliumError "overloaded" when the site has too many streams open
   */
  async begin(key: RoundKey, siteId: string): Promise<SpoolWriter> {
    const release = this.#occupy(siteId);
    try {
      return await this.#create(key, siteId, release);
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  async #create(key: RoundKey, siteId: string, onClosed: () => void): Promise<SpoolWriter> {
    const directory = this.#directoryOf(key);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const unfinished = join(directory, `${siteId}-${process.pid}-${this.#sequence++}.tmp`);
    const nameOf = (sha256: Uint8Array) =>
      join(roundKeyText(key), `${siteId}-${Buffer.from(sha256).toString("hex").slice(0, 16)}.masked`);
    return createWriter(await open(unfinished, "wx", 0o600), {
      root: this.#root,
      unfinished,
      nameOf,
      onClosed,
    });
  }

  #occupy(siteId: string): () => void {
    const open = this.#open.get(siteId) ?? 0;
    if (open >= mostOpenForSite) {
      throw new ConsiliumError("overloaded", `site ${siteId} has ${open} uploads under way at once`, {
        remedy: "wait until one of them has ended",
      });
    }
    this.#open.set(siteId, open + 1);
    return () => {
      const left = this.#open.get(siteId)! - 1;
      if (left === 0) this.#open.delete(siteId);
      else this.#open.set(siteId, left);
    };
  }

  /** Removes an attempt's files; they are of no use once it is over. */
  erase(key: RoundKey): void {
    rmSync(this.#directoryOf(key), { recursive: true, force: true });
  }

  /** Removes what an earlier process left behind: unfinished files, and every attempt that is not in `live`. */
  sweep(live: readonly RoundKey[]): void {
    const kept = new Set(live.map(roundKeyText));
    for (const entry of readdirSync(this.#root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const attempt = entry.parentPath.slice(this.#root.length + 1);
      if (!kept.has(attempt) || entry.name.endsWith(".tmp")) rmSync(join(entry.parentPath, entry.name));
    }
  }

  #directoryOf(key: RoundKey): string {
    return join(this.#root, roundKeyText(key));
  }
}

interface Place {
  readonly root: string;
  readonly unfinished: string;
  readonly nameOf: (sha256: Uint8Array) => string;
  readonly onClosed: () => void;
}

function createWriter(file: FileHandle, { root, unfinished, nameOf, onClosed }: Place): SpoolWriter {
  const hash = createHash("sha256");
  let bytes = 0;
  let sha256: Uint8Array | undefined;
  let closed = false;
  const digest = () => {
    sha256 ??= new Uint8Array(hash.digest());
    return sha256;
  };
  const close = async () => {
    if (closed) return;
    closed = true;
    onClosed();
    await file.close();
  };
  return {
    get bytes() {
      return bytes;
    },
    async write(chunk) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; ) {
        at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
      }
      bytes += chunk.length;
      failpoint("upload/middle");
    },
    digest,
    async keep() {
      await file.sync();
      await close();
      failpoint("upload/before-rename");
      const path = nameOf(digest());
      await rename(unfinished, join(root, path));
      await syncDirectories(dirname(join(root, path)), root);
      failpoint("upload/file-durable");
      return { path, bytes, sha256: digest() };
    },
    async discard() {
      await close();
      await rm(unfinished, { force: true });
    },
  };
}

/** From `path` up to the root: an attempt's folder and those above it may be as new as the file. */
async function syncDirectories(path: string, root: string): Promise<void> {
  await syncDirectory(path);
  if (path !== root) await syncDirectories(dirname(path), root);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
