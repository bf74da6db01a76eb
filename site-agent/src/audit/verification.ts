/** What looking through a log found. */

/**
 * changed: a line is not what was written. removed, inserted: lines are missing or too many. truncated: the end is
 * missing. unsigned: the chain holds but the site's identity key did not sign it, so all of it may have been rewritten.
 */
export type Tampering = "changed" | "removed" | "inserted" | "truncated" | "unsigned";

/** The first line that is not as it was written. */
export interface BrokenLine {
  readonly kind: Tampering;
  /** Number of the file `audit-….jsonl`, and of the line in it, both from 1. */
  readonly segment: number;
  readonly line: number;
  readonly reason: string;
}

export interface Verification {
  readonly intact: boolean;
  readonly broken: BrokenLine | undefined;
  /** Entries up to the end, or up to the broken line. */
  readonly entries: number;
  readonly segments: number;
  readonly checkpoints: number;
  /** Entries after the last signature: a cut among these is not seen. */
  readonly unsigned: number;
  readonly firstAt: string | undefined;
  readonly lastAt: string | undefined;
  /** Newest hash, to compare with one that was written down elsewhere. */
  readonly head: string | undefined;
  /** Crashes that left part of a line; each piece was kept aside and is named in the log. */
  readonly recovered: number;
  /** Checkpoints that the coordinator signed that it had seen. */
  readonly witnessed: number;
}
