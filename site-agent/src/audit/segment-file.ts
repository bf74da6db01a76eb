import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { AuditObject } from "./audit-entry.js";
import { hasRightHash } from "./chain.js";
import { readTail, segmentPath, syncDirectory, type Tail } from "./segments.js";
import { damagedLog } from "./storage-error.js";

/** The two calls that a full or broken disk lets fail; tests put others in their place. */
export interface DiskCalls {
  readonly write: (file: number, bytes: Uint8Array, offset: number) => number;
  readonly sync: (file: number) => void;
}

export const systemDisk: DiskCalls = {
  write: (file, bytes, offset) => writeSync(file, bytes, offset),
  sync: (file) => fsyncSync(file),
};

/** The last file of a log, open for appending. After any error it must be closed and opened anew. */
export class SegmentFile {
  readonly number: number;
  readonly #directory: string;
  readonly #file: number;
  readonly #disk: DiskCalls;
  #size: number;

  constructor(directory: string, number: number, disk: DiskCalls) {
    this.number = number;
    this.#directory = directory;
    this.#disk = disk;
    const path = segmentPath(directory, number);
    const isNew = !existsSync(path);
    this.#file = openSync(path, "a+", 0o600);
    this.#size = fstatSync(this.#file).size;
    if (isNew) syncDirectory(directory);
  }

  get size(): number {
    return this.#size;
  }

  /** Whether another process wrote to the log since this one did. */
  get outdated(): boolean {
    return fstatSync(this.#file).size !== this.#size || existsSync(segmentPath(this.#directory, this.number + 1));
  }

  /** @throws ConsiliumError "storage" where the last whole line is no entry. */
  tail(): Tail {
    const tail = readTail(this.#file);
    if (tail.lastLine === undefined) return tail;
    if (tail.last === undefined || !hasRightHash(tail.last)) throw damagedLog();
    return tail;
  }

  append(text: string): void {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += this.#disk.write(this.#file, bytes, at);
    this.#size += bytes.length;
  }

  sync(): void {
    this.#disk.sync(this.#file);
  }

  /**
   * Moves what a crash left of a line into a file of its own, which stays "pending" until the log says so.
   * Any step may be cut off: the next start repeats it.
   */
  setAside({ torn, wholeBytes }: Tail): void {
    const name = `torn-${String(this.number).padStart(6, "0")}-${wholeBytes}${pendingSuffix}`;
    const file = openSync(join(this.#directory, name), "w", 0o600);
    try {
      writeSync(file, torn);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncDirectory(this.#directory);
    ftruncateSync(this.#file, wholeBytes);
    this.#disk.sync(this.#file);
    this.#size = wholeBytes;
  }

  close(): void {
    closeSync(this.#file);
  }
}

const pendingSuffix = ".pending";

/** What was set aside and is not in the log yet. */
export function pendingPieces(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith("torn-") && name.endsWith(pendingSuffix))
    .map((name) => join(directory, name));
}

export function pieceFacts(piece: Uint8Array): AuditObject<"log.recovered"> {
  return { bytes: piece.length, digest: createHash("sha256").update(piece).digest("hex") };
}

export function settlePiece(path: string): void {
  renameSync(path, path.slice(0, -pendingSuffix.length));
}
