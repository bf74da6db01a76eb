import { closeSync, fstatSync, fsyncSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry } from "./audit-entry.js";
import { longestLine, parseLine } from "./chain.js";

/** A log is a row of files, `audit-000001.jsonl` and on; only the last one grows. */
export interface Segment {
  readonly number: number;
  readonly path: string;
}

const namePattern = /^audit-(\d{6,})\.jsonl$/;

export function segmentPath(directory: string, number: number): string {
  return join(directory, `audit-${String(number).padStart(6, "0")}.jsonl`);
}

/** In order; none where there is no such folder. */
export function listSegments(directory: string): Segment[] {
  return namesIn(directory)
    .flatMap((name) => {
      const number = namePattern.exec(name)?.[1];
      return number === undefined ? [] : [{ number: Number(number), path: join(directory, name) }];
    })
    .sort((a, b) => a.number - b.number);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** A line without its end, and where it stands. */
export interface Line {
  readonly bytes: Uint8Array;
  /** From 1, within its file. */
  readonly number: number;
  /** False for what follows the last line end of a file. */
  readonly whole: boolean;
}

const newline = 0x0a;
const blockBytes = 1 << 18;

/** The lines of a file. One that is longer than an entry can be is given cut, so no file can exhaust memory. */
export function* readLines(path: string): Generator<Line> {
  const file = openSync(path, "r");
  try {
    const block = Buffer.alloc(blockBytes);
    let rest: Buffer = Buffer.alloc(0);
    let number = 1;
    for (let size = readSync(file, block); size > 0; size = readSync(file, block)) {
      let from = 0;
      for (let end = block.indexOf(newline); end !== -1 && end < size; end = block.indexOf(newline, from)) {
        yield { bytes: joined(rest, block.subarray(from, end)), number: number++, whole: true };
        rest = Buffer.alloc(0);
        from = end + 1;
      }
      rest = joined(rest, block.subarray(from, size));
    }
    if (rest.length > 0) yield { bytes: rest, number, whole: false };
  } finally {
    closeSync(file);
  }
}

/** A copy, cut to just more than the longest line. */
function joined(rest: Buffer, more: Buffer): Buffer {
  const room = Math.max(0, longestLine + 1 - rest.length);
  return Buffer.concat([rest, more.subarray(0, room)]);
}

/** The end of a file: enough of it to hold the last checkpoint and all that follows it. */
export interface Tail {
  readonly lastLine: Uint8Array | undefined;
  readonly last: AuditEntry | undefined;
  /** Entries after the last checkpoint, as far back as was read. */
  readonly sinceCheckpoint: number;
  /** Where the last whole line ends. */
  readonly wholeBytes: number;
  /** What follows it. */
  readonly torn: Buffer;
}

const tailBytes = 1 << 20;

/** Reads from the end of an open file. */
export function readTail(file: number): Tail {
  const { size } = fstatSync(file);
  const from = Math.max(0, size - tailBytes);
  const bytes = Buffer.alloc(size - from);
  let read = 0;
  while (read < bytes.length) {
    const got = readSync(file, bytes, read, bytes.length - read, from + read);
    if (got === 0) break;
    read += got;
  }
  const end = bytes.lastIndexOf(newline) + 1;
  const lines = splitLines(bytes.subarray(0, end)).slice(from === 0 ? 0 : 1);
  const lastLine = lines.at(-1);
  const last = lastLine === undefined ? undefined : parseLine(lastLine);
  return { lastLine, last, sinceCheckpoint: countSince(lines), wholeBytes: from + end, torn: bytes.subarray(end) };
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0, end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, from)) {
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines;
}

function countSince(lines: readonly Uint8Array[]): number {
  for (let back = 0; back < lines.length; back++) {
    if (parseLine(lines[lines.length - 1 - back]!)?.action === "log.checkpoint") return back;
  }
  return lines.length;
}

/** After it, files that were made in or removed from the folder stay so over a power loss. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
