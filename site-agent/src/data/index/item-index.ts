import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { DataSettings } from "../data-settings.js";
import { type FoundItem, isExclusion, type SourceFile, type SourceItem, type UnreadableReason } from "../source.js";
import { type IndexDatabase, openIndexDatabase } from "./index-schema.js";
import type { ItemList, ReasonCounts } from "./item-list.js";

/** What reading an image told beside its pixels. */
export interface PixelFacts {
  /** SHA-256 of the decoded pixels. */
  readonly digest: Uint8Array;
  /** 64 bits that are alike for images that look alike. */
  readonly hash: Uint8Array;
}

/** Settings that decide which images a source has; others, such as a cache's size, may change. */
export function indexPurpose(settings: DataSettings): string {
  const { source, path, labels, where, columns, dicom, dicomweb, slide, volume, maxPixels, maxFileBytes } = settings;
  const { authorizationFile: _authorization, cacheMiB: _cache, timeoutSeconds: _timeout, ...archive } = dicomweb ?? {};
  const chosen = { source, path, where, columns, dicom, archive, slide, volume, maxPixels, maxFileBytes };
  return canonicalJson(labels === undefined ? chosen : { ...chosen, labels });
}

/**
 * What a source holds, kept in a file, so that a million images need no memory and only files that changed are opened
 * again. It names files and never leaves the site. Every change is a transaction of its own, none outlasts a call: the agent,
 * its trainer and commands may use one index at once.
 */
export class ItemIndex {
  readonly #database: IndexDatabase;
  readonly #statements = new Map<string, ReturnType<IndexDatabase["prepare"]>>();
  #scan = 0;

  /** @param path a file, or ":memory:" */
  constructor(path: string, purpose: string) {
    const remove = (file: string) => {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
      closeSync(openSync(file, "a", 0o600));
    };
    if (path !== ":memory:") {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // It names files. SQLite gives its other files the mode of the first.
      closeSync(openSync(path, "a", 0o600));
    }
    this.#database = openIndexDatabase(path, purpose, remove);
  }

  get database(): IndexDatabase {
    return this.#database;
  }

  /** Begins a listing: files that are not seen from here on are gone. Others may be listing into the same index. */
  startScan(): void {
    this.#scan = this.#database.prepare("UPDATE meta SET scan = scan + 1 RETURNING scan").pluck().get() as number;
  }

  /**
   * Notes that a file is there.
   * @returns "new", "changed", or "same" when its images are known
   */
  see(file: SourceFile): "new" | "changed" | "same" {
    const found = this.#see.get({ id: file.id, scan: this.#scan });
    if (found === undefined) return "new";
    const { version, reason } = found as { version: string; reason: UnreadableReason | null };
    return version === versionOf(file) && !(reason !== null && mayPass.has(reason)) ? "same" : "changed";
  }

  record(file: SourceFile, items: readonly FoundItem[]): void {
    this.#put(file, null, items);
  }

  refuse(file: SourceFile, reason: UnreadableReason): void {
    this.#put(file, reason, []);
  }

  #put(file: SourceFile, reason: UnreadableReason | null, items: readonly FoundItem[]): void {
    this.#database.transaction(() => {
      const row = this.#putFile.pluck().get({ ...fileRow(file, this.#scan), reason });
      this.#dropItems.run(row);
      for (const item of items) this.#putItem.run({ ...itemRow(item), file: row });
    })();
  }

  /** Forgets files that nobody has seen since the scan began. @returns their ids */
  forgetUnseen(): string[] {
    return this.#database.prepare("DELETE FROM files WHERE seen < ? RETURNING id").pluck().all(this.#scan) as string[];
  }

  notePixels(id: string, { digest, hash }: PixelFacts): void {
    this.#database.prepare("UPDATE items SET digest = ?, hash = ?, reason = NULL WHERE id = ?").run(digest, hash, id);
  }

  /** The image is left out until its file changes. */
  noteUnreadable(id: string, reason: UnreadableReason): void {
    this.#database.prepare("UPDATE items SET reason = ? WHERE id = ?").run(reason, id);
  }

  /** Images whose pixels have not been read since their file changed, or could not be for a reason that may have passed. */
  unchecked(): ItemList {
    const passing = [...mayPass].map((reason) => `'${reason}'`).join(", ");
    return this.#listOf(`(digest IS NULL AND reason IS NULL) OR reason IN (${passing})`);
  }

  /** What training may take. */
  list(): ItemList {
    return this.#listOf("reason IS NULL");
  }

  /** Files and images without pixels to train on, by reason. */
  leftOut(): ReasonCounts {
    const counts = this.#database
      .prepare(
        `SELECT reason, count(*) AS count FROM (
          SELECT reason FROM files WHERE reason IS NOT NULL UNION ALL SELECT reason FROM items WHERE reason IS NOT NULL
        ) GROUP BY reason ORDER BY reason`,
      )
      .all() as { reason: UnreadableReason; count: number }[];
    return Object.fromEntries(counts.map(({ reason, count }) => [reason, count]));
  }

  hasFile(id: string): boolean {
    return this.#prepared("SELECT 1 FROM files WHERE id = ?").get(id) !== undefined;
  }

  close(): void {
    this.#database.close();
  }

  #listOf(condition: string): ItemList {
    const query = this.#database.prepare(`SELECT item FROM items WHERE ${condition} ORDER BY id`).pluck();
    const rows = new GrowingRows();
    for (const row of query.iterate()) rows.push(row as number);
    const places = rows.taken();
    const byRow = this.#database.prepare("SELECT * FROM items WHERE item = ?");
    const stamp = this.#database.prepare("SELECT stamp FROM items WHERE id = ? AND reason IS NULL").pluck();
    return {
      length: places.length,
      at: (index) => itemOf(byRow.get(places[index]) as ItemRow),
      stampOf: (id) => stamp.get(id) as string | undefined,
      unreadable: failuresOf(this.leftOut()),
    };
  }

  get #see() {
    return this.#prepared("UPDATE files SET seen = max(seen, @scan) WHERE id = @id RETURNING version, reason");
  }

  get #putFile() {
    return this.#prepared(
      `INSERT INTO files (id, version, stamp, reason, seen) VALUES (@id, @version, @stamp, @reason, @seen)
       ON CONFLICT (id) DO UPDATE SET version = @version, stamp = @stamp, reason = @reason, seen = max(seen, @seen) RETURNING file`,
    );
  }

  get #dropItems() {
    return this.#prepared("DELETE FROM items WHERE file = ?");
  }

  get #putItem() {
    return this.#prepared(
      `INSERT INTO items (file, id, stamp, "group", label, split, attributes, format, width, height, modality, transfer_syntax)
       VALUES (@file, @id, @stamp, @group, @label, @split, @attributes, @format, @width, @height, @modality, @syntax)`,
    );
  }

  #prepared(sql: string) {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

const failuresOf = (reasons: ReasonCounts): ReasonCounts =>
  Object.fromEntries(Object.entries(reasons).filter(([reason]) => !isExclusion(reason as UnreadableReason)));

/** Reasons that may pass without the file changing. */
const mayPass: ReadonlySet<UnreadableReason> = new Set(["missing", "no-permission"]);

function versionOf({ stamp, row }: SourceFile): string {
  if (row === undefined) return stamp;
  return `${stamp} ${createHash("sha256").update(JSON.stringify(row)).digest("base64url").slice(0, 16)}`;
}

const fileRow = (file: SourceFile, scan: number) => ({
  ...{ id: file.id, stamp: file.stamp, version: versionOf(file), seen: scan },
});

function itemRow({ id, stamp, group, label, split, attributes, facts }: FoundItem) {
  const { format, width, height, modality, transferSyntax } = facts;
  return {
    ...{ id, stamp, format, width, height },
    ...{ group: group ?? null, label: label ?? null, split: split ?? null },
    attributes: attributes === undefined ? null : JSON.stringify(attributes),
    ...{ modality: modality ?? null, syntax: transferSyntax ?? null },
  };
}

interface ItemRow {
  readonly id: string;
  readonly stamp: string;
  readonly group: string | null;
  readonly label: string | null;
  readonly split: string | null;
  readonly attributes: string | null;
}

function itemOf({ id, stamp, group, label, split, attributes }: ItemRow): SourceItem {
  return {
    ...{ id, stamp },
    ...(group === null ? {} : { group }),
    ...(label === null ? {} : { label }),
    ...(split === null ? {} : { split }),
    ...(attributes === null ? {} : { attributes: JSON.parse(attributes) as Record<string, string> }),
  };
}

/** Row numbers, four bytes each. */
class GrowingRows {
  #rows = new Int32Array(1024);
  #length = 0;

  push(row: number): void {
    if (this.#length === this.#rows.length) {
      const larger = new Int32Array(2 * this.#length);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    this.#rows[this.#length++] = row;
  }

  taken(): Int32Array {
    return this.#rows.subarray(0, this.#length);
  }
}
