import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { AuditEntry } from "./audit-entry.js";
import { checkpointEvery } from "./audit-log.js";
import { checkpointHolds, genesis, hasRightHash, parseLine } from "./chain.js";
import type { Line } from "./segments.js";
import type { BrokenLine, Tampering } from "./verification.js";

/** JSON can say the same in many ways; a log has one. */
function isAsWritten(entry: AuditEntry, { bytes }: Line): boolean {
  return Buffer.from(canonicalJson(entry)).equals(bytes);
}

interface Place {
  readonly segment: number;
  readonly line: number;
}

interface Seen extends Place {
  readonly seq: number;
  readonly hash: string;
}

/** So many lines back an insertion is told from other changes, and a checkpoint or witness is looked up. */
const remembered = 4096;

/** Entries of another writer may slip in between the one that makes a signature due and the signature. */
const signatureSlack = 8;

/** Follows a log from its first line on, and stops at the first that does not fit. */
export class ChainCheck {
  #publicKey: Uint8Array;
  readonly #seen = new Map<string, Seen>();
  readonly #bySeq = new Map<number, Seen>();
  #last: Seen | undefined;
  /** Where the log begins after older files were removed; a later entry must say so. */
  #start: { readonly seq: number; readonly prev: string; readonly place: Place } | undefined;
  broken: BrokenLine | undefined;
  entries = 0;
  checkpoints = 0;
  unsigned = 0;
  recovered = 0;
  witnessed = 0;
  firstAt: string | undefined;
  lastAt: string | undefined;

  /** @param publicKey raw Ed25519 key of the site's identity where the log begins */
  constructor(publicKey: Uint8Array) {
    this.#publicKey = publicKey;
  }

  get head(): string | undefined {
    return this.#last?.hash;
  }

  get lastPlace(): Place {
    return this.#last ?? { segment: 1, line: 0 };
  }

  get lastSeq(): number {
    return this.#last?.seq ?? 0;
  }

  hashOf(seq: number): string | undefined {
    return this.#bySeq.get(seq)?.hash;
  }

  /** Returns whether the line fits. */
  take(segment: number, line: Line): boolean {
    const place = { segment, line: line.number };
    const entry = parseLine(line.bytes);
    if (!line.whole) return this.#fault("truncated", place, "the last line is not whole");
    if (entry === undefined || !isAsWritten(entry, line)) {
      return this.#fault("changed", place, "the line is no entry as this program writes them");
    }
    if (!hasRightHash(entry))
      return this.#fault("changed", place, `entry ${entry.seq} does not have the hash it names`);
    if (!this.#follows(entry, place)) return false;
    this.#remember(entry, place);
    return this.#meaningHolds(entry, place);
  }

  /** What only the whole log shows; to be called after its last line, with the key that the site has now. */
  finish(publicKey: Uint8Array): void {
    if (this.broken !== undefined) return;
    if (!Buffer.from(publicKey).equals(this.#publicKey)) {
      this.fault("unsigned", "the log went over to another identity key than this site's");
    }
    if (this.#start === undefined) return;
    const { seq, place } = this.#start;
    this.#fault("removed", place, `the log begins with entry ${seq}, and no entry says that the older ones expired`);
  }

  fault(kind: Tampering, reason: string): void {
    this.#fault(kind, this.lastPlace, reason);
  }

  #fault(kind: Tampering, { segment, line }: Place, reason: string): false {
    this.broken ??= { kind, segment, line, reason };
    return false;
  }

  #follows(entry: AuditEntry, place: Place): boolean {
    const last = this.#last;
    if (last === undefined) return this.#begins(entry, place);
    if (entry.prev === last.hash && entry.seq === last.seq + 1) return true;
    if (this.#seen.has(entry.hash)) return this.#fault("inserted", place, `entry ${entry.seq} comes a second time`);
    const earlier = this.#seen.get(entry.prev);
    if (earlier !== undefined) return this.#inserted(earlier, last, place);
    if (entry.seq > last.seq + 1) {
      return this.#fault("removed", place, `entry ${entry.seq} comes where entry ${last.seq + 1} should`);
    }
    if (entry.seq <= last.seq) return this.#fault("inserted", place, `entry ${entry.seq} comes a second time`);
    return this.#fault("changed", last, `entry ${last.seq} is not the one that entry ${entry.seq} follows`);
  }

  #begins(entry: AuditEntry, place: Place): boolean {
    if (entry.seq === 1) {
      return entry.prev === genesis || this.#fault("changed", place, "the first entry follows an unknown one");
    }
    this.#start = { seq: entry.seq, prev: entry.prev, place };
    return true;
  }

  /** The line follows one before the last: what stands between does not belong there. */
  #inserted(earlier: Seen, last: Seen, place: Place): boolean {
    if (earlier.hash === last.hash) return this.#fault("changed", place, "the entry's number does not follow");
    const first = [...this.#seen.values()].find(({ seq, hash }) => seq === earlier.seq + 1 && hash !== earlier.hash);
    return this.#fault("inserted", first ?? last, `entries between ${earlier.seq} and this line do not belong there`);
  }

  #remember(entry: AuditEntry, place: Place): void {
    this.#last = { ...place, seq: entry.seq, hash: entry.hash };
    this.#seen.set(entry.hash, this.#last);
    this.#bySeq.set(entry.seq, this.#last);
    if (this.#seen.size > remembered) {
      const [oldest] = this.#seen.values();
      this.#seen.delete(oldest!.hash);
      this.#bySeq.delete(oldest!.seq);
    }
    this.entries++;
    this.firstAt ??= entry.ts;
    this.lastAt = entry.ts;
  }

  #meaningHolds(entry: AuditEntry, place: Place): boolean {
    if (entry.action === "log.checkpoint") return this.#signatureHolds(entry, place);
    this.unsigned++;
    if (this.unsigned > checkpointEvery + signatureSlack) {
      return this.#fault("unsigned", place, `no signature covers the ${this.unsigned} entries up to here`);
    }
    switch (entry.action) {
      case "identity.rotated":
        return this.#rotationFits(entry, place);
      case "log.recovered":
        this.recovered++;
        return true;
      case "log.witnessed":
        return this.#witnessAgrees(entry, place);
      case "log.shortened":
        return this.#fault(
          "truncated",
          place,
          `entries ${entry.object.found + 1} to ${entry.object.signed} were cut off`,
        );
      case "log.retired":
        if (this.#start?.seq === entry.object.last + 1 && this.#start.prev === entry.object.head)
          this.#start = undefined;
        return true;
      default:
        return true;
    }
  }

  /** One that was cut off is written again. */
  #rotationFits({ seq, object }: Extract<AuditEntry, { action: "identity.rotated" }>, place: Place): boolean {
    const [before, key] = [object.before, object.key].map((hex) => Buffer.from(hex, "hex"));
    if (![before, key].some((known) => known?.equals(this.#publicKey))) {
      return this.#fault(
        "unsigned",
        place,
        `entry ${seq} replaces another identity key than the one that signed so far`,
      );
    }
    this.#publicKey = key!;
    return true;
  }

  #witnessAgrees(entry: Extract<AuditEntry, { action: "log.witnessed" }>, place: Place): boolean {
    if (entry.outcome !== "success") {
      const { head } = entry.object;
      return this.#fault("truncated", place, `the coordinator saw entry ${head.slice(0, 12)}…, which is not here`);
    }
    this.witnessed++;
    return true;
  }

  #signatureHolds(entry: Extract<AuditEntry, { action: "log.checkpoint" }>, place: Place): boolean {
    const { covers, head } = entry.object;
    if (covers !== entry.seq - 1 || head !== entry.prev) {
      return this.#fault("changed", place, `the signature in entry ${entry.seq} is about another entry`);
    }
    if (!checkpointHolds(entry.object, this.#publicKey)) {
      return this.#fault("unsigned", place, `entry ${entry.seq} is not signed by this site's identity key`);
    }
    this.checkpoints++;
    this.unsigned = 0;
    return true;
  }
}
