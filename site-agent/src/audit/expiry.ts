import { rmSync } from "node:fs";
import type { AuditEntry, AuditObject } from "./audit-entry.js";
import { type DiskCalls, SegmentFile } from "./segment-file.js";
import { listSegments, syncDirectory } from "./segments.js";

export interface Expiry {
  readonly directory: string;
  readonly disk: DiskCalls;
  /** Files whose last entry is older than this, in milliseconds since the epoch, go. */
  readonly beforeMs: number;
  /** Called before anything is removed; what it throws leaves everything as it is. */
  readonly announce: (retired: AuditObject<"log.retired">) => void;
}

/** Removes a log's oldest files, never the last one, and only from the beginning on. */
export function removeExpired({ directory, disk, beforeMs, announce }: Expiry): void {
  const expired: { path: string; number: number; last: AuditEntry }[] = [];
  for (const { number, path } of listSegments(directory).slice(0, -1)) {
    const last = lastEntry(directory, number, disk);
    if (last === undefined || Date.parse(last.ts) >= beforeMs) break;
    expired.push({ path, number, last });
  }
  const newest = expired.at(-1);
  if (newest === undefined) return;
  announce({ segment: newest.number, last: newest.last.seq, head: newest.last.hash });
  for (const { path } of expired) rmSync(path);
  syncDirectory(directory);
}

function lastEntry(directory: string, number: number, disk: DiskCalls): AuditEntry | undefined {
  const file = new SegmentFile(directory, number, disk);
  try {
    return file.tail().last;
  } finally {
    file.close();
  }
}
