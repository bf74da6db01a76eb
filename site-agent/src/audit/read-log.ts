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

/** The entries of a log, oldest first. Lines that are none are passed over: `verifyLog` speaks of those. */
export function* readEntries(directory: string, filter: EntryFilter = {}): Generator<AuditEntry> {
  for (const { path } of listSegments(directory)) {
    for (const { bytes } of readLines(path)) {
      const entry = parseLine(bytes);
      if (entry !== undefined && matches(entry, filter)) yield entry;
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
