/** The rosters that were published, newest version last. Writes are durable on return. */

export interface RosterRow {
  readonly version: number;
  /** SHA-256 of the roster's canonical bytes, hex. */
  readonly digest: string;
  /** Canonical JSON of roster and signatures. */
  readonly document: Uint8Array;
  readonly publishedAtMs: number;
  /** Who handed it over. */
  readonly publishedBy: string;
}

export interface RosterStore {
  newest(): RosterRow | undefined;
  /** Versions greater than this one, oldest first. */
  listAfter(version: number): RosterRow[];
  /** Adds a version, or replaces the document of one that is there. */
  put(row: RosterRow): void;
}
