import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import type { AuditEvent } from "./audit-entry.js";
import { AuditLog, type AuditLogOptions, type AuditTrail } from "./audit-log.js";
import { listSegments } from "./segments.js";

export const testIdentity = IdentityKey.fromSeed(new Uint8Array(32).fill(5));

export function newDirectory(): string {
  return join(mkdtempSync(join(tmpdir(), "audit-")), "audit");
}

export function testLog(directory: string, changes: Partial<AuditLogOptions> = {}): AuditLog {
  return new AuditLog({
    ...{ directory, identity: testIdentity, clock: new ManualClock(Date.UTC(2026, 0, 15)), monotonic: () => 1.5 },
    ...{ actor: "agent", role: "agent", segmentBytes: 1 << 24, retentionMs: 6 * 365.25 * 86_400_000 },
    ...changes,
  });
}

/** An event that is cheap to write. */
export function someEvent(index = 0): AuditEvent {
  const object = { run: "run-1", round: 1, attempt: index };
  return { action: "attempt.ended", object, corrId: `run-1/1/${index}` };
}

/** A trail that only remembers. */
export class RecordedTrail implements AuditTrail {
  readonly events: AuditEvent[] = [];
  /** Thrown instead of recording. */
  failure: Error | undefined;

  record(event: AuditEvent): void {
    if (this.failure !== undefined) throw this.failure;
    this.events.push(event);
  }

  get actions(): string[] {
    return this.events.map(({ action }) => action);
  }
}

/** All lines of a log, over its files. */
export function linesOf(directory: string): string[] {
  return listSegments(directory).flatMap(({ path }) => readFileSync(path, "utf8").split("\n").slice(0, -1));
}

/** Writes lines back as the log's only file. */
export function rewrite(directory: string, lines: readonly string[], segment = 0): void {
  writeFileSync(listSegments(directory)[segment]!.path, lines.map((line) => `${line}\n`).join(""));
}
