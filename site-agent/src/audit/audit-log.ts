import { mkdirSync, readFileSync } from "node:fs";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { type AuditEntry, type AuditEvent, type AuditRole, isDurable, readEntry } from "./audit-entry.js";
import { entryHash, genesis, longestLine, signCheckpoint } from "./chain.js";
import { removeExpired } from "./expiry.js";
import { type DiskCalls, pendingPieces, pieceFacts, SegmentFile, settlePiece, systemDisk } from "./segment-file.js";
import { listSegments } from "./segments.js";
import { readSignedHead, writeSignedHead } from "./signed-head.js";
import { notWritten } from "./storage-error.js";
import { WriteLock } from "./write-lock.js";

/** Where parts of the agent write down what they do. */
export interface AuditTrail {
  /**
   * Writes an entry. When it returns, an entry of a durable action, and all before it, are on the disk; others are in
   * the system's hands, so that they outlive this process but not a power loss.
   * @throws ConsiliumError "storage": then the act must not be done.
   */
  record(event: AuditEvent): void;
}

export interface AuditLogOptions {
  readonly directory: string;
  readonly identity: IdentityKey;
  readonly clock: Pick<Clock, "now">;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
  /** Who writes: "agent", or the user of a command. */
  readonly actor: string;
  readonly role: AuditRole;
  /** A file of the log is followed by a new one when it has this size. */
  readonly segmentBytes: number;
  readonly retentionMs: number;
  readonly disk?: DiskCalls;
}

/** A signature covers at most this many entries. */
export const checkpointEvery = 256;

interface End {
  readonly file: SegmentFile;
  seq: number;
  hash: string;
  sinceCheckpoint: number;
}

/**
 * A site's append-only log: JSON lines, each with the hash of the one before, signed now and then (docs/site.md,
 * "Audit"). Agent and commands may write to one log at the same time.
 */
export class AuditLog implements AuditTrail {
  readonly #options: AuditLogOptions;
  readonly #lock: WriteLock;
  #end: End | undefined;

  /** @throws ConsiliumError "storage" when the folder cannot be used. */
  constructor(options: AuditLogOptions) {
    this.#options = options;
    try {
      mkdirSync(options.directory, { recursive: true, mode: 0o700 });
      this.#lock = new WriteLock(options.directory);
    } catch (cause) {
      throw notWritten(cause);
    }
  }

  record(event: AuditEvent): void {
    this.recordAll([event]);
  }

  /** As record, for several at once. */
  recordAll(events: readonly AuditEvent[]): void {
    this.#write((end) => {
      const synced = events.map((event) => this.#append(end, event));
      if (synced.includes(true)) end.file.sync();
    });
  }

  /** Signs what was not signed yet. */
  checkpoint(): void {
    this.#write((end) => {
      if (end.sinceCheckpoint > 0) this.#sign(end);
    });
  }

  /** Signs, unless the disk does not let it, and lets go of the files. */
  close(): void {
    try {
      this.checkpoint();
    } finally {
      this.#forget();
      this.#lock.close();
    }
  }

  #write(task: (end: End) => void): void {
    try {
      this.#lock.hold(() => task(this.#current()));
    } catch (thrown) {
      // A file whose write or sync failed says nothing reliable any more: the next entry opens it anew.
      this.#forget();
      throw thrown instanceof ConsiliumError ? thrown : notWritten(thrown);
    }
  }

  #forget(): void {
    this.#end?.file.close();
    this.#end = undefined;
  }

  #current(): End {
    if (this.#end?.file.outdated) this.#forget();
    this.#end ??= this.#open();
    if (this.#end.file.size >= this.#options.segmentBytes) this.#rotate(this.#end);
    return this.#end;
  }

  #open(): End {
    const { directory, disk = systemDisk } = this.#options;
    const segments = listSegments(directory);
    const file = new SegmentFile(directory, segments.at(-1)?.number ?? 1, disk);
    try {
      return this.#endOf(file, segments.at(-2)?.number);
    } catch (thrown) {
      file.close();
      throw thrown;
    }
  }

  /** @param before the number of the file before, to which an empty one is chained */
  #endOf(file: SegmentFile, before: number | undefined): End {
    const { directory, disk = systemDisk, identity } = this.#options;
    const tail = file.tail();
    if (tail.torn.length > 0) file.setAside(tail);
    const last = tail.last ?? (before === undefined ? undefined : lastOf(new SegmentFile(directory, before, disk)));
    const end = { file, seq: last?.seq ?? 0, hash: last?.hash ?? genesis, sinceCheckpoint: tail.sinceCheckpoint };
    for (const path of pendingPieces(directory)) {
      this.#append(end, { action: "log.recovered", object: pieceFacts(readFileSync(path)) });
      file.sync();
      settlePiece(path);
    }
    const signed = readSignedHead(directory, identity.publicKey);
    if (signed !== undefined && signed.covers > end.seq) {
      const object = { signed: signed.covers, found: end.seq };
      this.#append(end, { action: "log.shortened", object, outcome: "failure" });
      this.#sign(end);
    }
    return end;
  }

  #rotate(end: End): void {
    const { directory, disk = systemDisk, clock, retentionMs } = this.#options;
    if (end.sinceCheckpoint > 0) this.#sign(end);
    const file = new SegmentFile(directory, end.file.number + 1, disk);
    const next = { ...end, file };
    end.file.close();
    this.#end = next;
    this.#append(next, { action: "log.rotated", object: { segment: file.number } });
    file.sync();
    removeExpired({
      ...{ directory, disk, beforeMs: clock.now() - retentionMs },
      announce: (object) => {
        this.#append(next, { action: "log.retired", object });
        file.sync();
      },
    });
  }

  /** Returns whether the entry must be synced. */
  #append(end: End, event: AuditEvent): boolean {
    const entry = this.#entry(end, event);
    const line = `${canonicalJson(entry)}\n`;
    if (line.length > longestLine || readEntry(entry) === undefined) {
      throw new ConsiliumError("internal", `an entry of the audit log for ${event.action} holds what entries must not`);
    }
    end.file.append(line);
    end.seq = entry.seq;
    end.hash = entry.hash;
    end.sinceCheckpoint++;
    if (end.sinceCheckpoint >= checkpointEvery && event.action !== "log.checkpoint") this.#sign(end);
    return isDurable(event.action);
  }

  #entry({ seq, hash: prev }: End, event: AuditEvent): AuditEntry {
    const { clock, monotonic, actor, role } = this.#options;
    const { action, object, outcome = "success", reason = "", corrId = "" } = event;
    const entry = {
      ...{ seq: seq + 1, ts: new Date(clock.now()).toISOString(), mono: Math.floor(monotonic()) },
      ...{ actor: event.actor ?? actor, role: event.role ?? role, action, object, outcome, reason, corrId, prev },
    } as Omit<AuditEntry, "hash">;
    return { ...entry, hash: entryHash(entry) } as AuditEntry;
  }

  #sign(end: End): void {
    const { directory, identity } = this.#options;
    this.#append(end, {
      action: "log.checkpoint",
      object: signCheckpoint(identity, { covers: end.seq, head: end.hash }),
    });
    end.file.sync();
    end.sinceCheckpoint = 0;
    writeSignedHead(directory, identity, end);
  }
}

function lastOf(file: SegmentFile): AuditEntry | undefined {
  try {
    return file.tail().last;
  } finally {
    file.close();
  }
}
