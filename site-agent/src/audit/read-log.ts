import type { AuditEntry } from "./audit-entry.js";
import { parseLine } from "./chain.js";
import { listSegments, readLines } from "./segments.js";

/** Which entries are asked for; every condition that is given must hold. */
export interface EntryFilter {
  /** Milliseconds since the epoch. */
  readonly sinceMs?: number;
  /** An action, or its beginning up to a dot, such as "plan". */
  readonly action?: string;
  readonly run?: string;
}

/** What a reading of a log met, counted while it goes on. */
export interface Reading {
  /** Whole lines that are no entries. */
  unreadable: number;
  /** Signed entries that were gone when the log was opened for the next, as it says itself. */
  gone: number;
}

/** The entries of a log, oldest first. Lines that are none are passed over and counted; `verifyLog` says what they are. */
export function* readEntries(
  directory: string,
  filter: EntryFilter = {},
  reading: Reading = { unreadable: 0, gone: 0 },
): Generator<AuditEntry> {
  for (const { path } of listSegments(directory)) {
    for (const { bytes, whole } of readLines(path)) {
      const entry = parseLine(bytes);
      // What follows the last line end is being written, or was when the power failed.
      if (entry === undefined) reading.unreadable += whole ? 1 : 0;
      else {
        if (entry.action === "log.shortened") reading.gone += entry.object.signed - entry.object.found;
        if (matches(entry, filter)) yield entry;
      }
    }
  }
}

function matches(entry: AuditEntry, { sinceMs, action, run }: EntryFilter): boolean {
  if (sinceMs !== undefined && Date.parse(entry.ts) < sinceMs) return false;
  if (action !== undefined && entry.action !== action && !entry.action.startsWith(`${action}.`)) return false;
  return run === undefined || runOf(entry) === run;
}

/** The run that an entry is about. */
export function runOf({ object }: AuditEntry): string | undefined {
  return "run" in object ? object.run : undefined;
}
