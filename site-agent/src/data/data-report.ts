import { hashBytes, nearDuplicates } from "./curation/perceptual-hash.js";
import type { DataSettings, SourceKind } from "./data-settings.js";
import type { IndexDatabase } from "./index/index-schema.js";
import type { ItemIndex } from "./index/item-index.js";
import { isExclusion, type UnreadableReason } from "./source.js";

export type Counts = Readonly<Record<string, number>>;

export interface Range {
  readonly least: number;
  readonly most: number;
}

export interface LeftOut {
  readonly id: string;
  readonly reason: UnreadableReason;
}

/** What a site's data holds. Names files; never leaves the site. */
export interface DataReport {
  readonly source: SourceKind;
  readonly path: string;
  readonly files: number;
  /** Readable images. */
  readonly images: number;
  readonly formats: Counts;
  /** DICOM's codes. */
  readonly modalities: Counts;
  readonly transferSyntaxes: Counts;
  /** By the shorter side in pixels. */
  readonly shortSides: Counts;
  readonly labels: Counts;
  readonly splits: Counts;
  /** Counts of values by attribute. */
  readonly attributes: Readonly<Record<string, Counts>>;
  /** Distinct patients or lesions; absent where none are known. */
  readonly groups?: number;
  readonly imagesPerGroup?: Range & { readonly median: number };
  /** In pixels, as they are stored; absent when nothing is readable. */
  readonly width?: Range;
  readonly height?: Range;
  /** Files and images that failed; `unreadableByReason` counts them. */
  readonly unreadable: readonly LeftOut[];
  readonly unreadableByReason: Counts;
  /** Left out on purpose. */
  readonly excludedByReason: Counts;
  /** Ids of images with equal pixels, at least two each. */
  readonly duplicates: readonly (readonly string[])[];
  /** Ids of images that look alike, at least two each; those with equal pixels among them. */
  readonly nearDuplicates: readonly (readonly string[])[];
  /** Images in the folder that the labels file or its filter leaves out; of folders only. */
  readonly imagesNotChosen?: number;
  readonly otherFiles?: number;
  readonly batchSize: number;
  /** Readable images over batch size, rounded up. */
  readonly stepsPerEpoch: number;
}

/** Most names of a kind that a report holds; counts are of all. */
const mostNamed = 10_000;

interface ReportOptions {
  readonly settings: Pick<DataSettings, "source" | "path">;
  readonly batchSize: number;
}

/** What an index knows after its images were read. */
export function reportOf(index: ItemIndex, { settings, batchSize }: ReportOptions): DataReport {
  const { database } = index;
  const one = (sql: string) => database.prepare(sql).pluck().get() as number;
  const images = one("SELECT count(*) FROM items WHERE reason IS NULL");
  const countsOf = (column: string) => countsBy(database, column);
  const reasons = Object.entries(index.leftOut());
  const groups = groupSizes(database);
  return {
    ...{ source: settings.source, path: settings.path, files: one("SELECT count(*) FROM files"), images },
    ...{ formats: countsOf("format"), modalities: countsOf("modality"), transferSyntaxes: countsOf("transfer_syntax") },
    ...{ shortSides: shortSides(database), labels: countsOf("label"), splits: countsOf("split") },
    attributes: attributeCounts(database),
    ...(groups === undefined ? {} : groups),
    ...(images === 0 ? {} : { width: rangeOf(database, "width"), height: rangeOf(database, "height") }),
    unreadable: namesLeftOut(database),
    unreadableByReason: Object.fromEntries(reasons.filter(([reason]) => !isExclusion(reason as UnreadableReason))),
    excludedByReason: Object.fromEntries(reasons.filter(([reason]) => isExclusion(reason as UnreadableReason))),
    ...{ duplicates: equalPixels(database), nearDuplicates: alike(database) },
    ...{ batchSize, stepsPerEpoch: Math.ceil(images / batchSize) },
  };
}

/** Sorted by key, numbers by value, so that reports compare. */
function sorted(entries: readonly (readonly [string, number])[]): Counts {
  const collator = new Intl.Collator("en", { numeric: true });
  return Object.fromEntries([...entries].sort(([a], [b]) => collator.compare(a, b)));
}

const rowsOf = (database: IndexDatabase, sql: string) => database.prepare(sql).raw().all() as [string, number][];

function countsBy(database: IndexDatabase, column: string): Counts {
  const condition = `reason IS NULL AND ${column} IS NOT NULL`;
  return sorted(rowsOf(database, `SELECT ${column}, count(*) FROM items WHERE ${condition} GROUP BY 1`));
}

function attributeCounts(database: IndexDatabase): Readonly<Record<string, Counts>> {
  const rows = database
    .prepare(
      `SELECT key, value, count(*) FROM items, json_each(items.attributes)
       WHERE reason IS NULL AND attributes IS NOT NULL GROUP BY key, value`,
    )
    .raw()
    .all() as [string, string, number][];
  const names = [...new Set(rows.map(([name]) => name))].sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      sorted(rows.filter(([own]) => own === name).map(([, value, count]) => [String(value), count] as const)),
    ]),
  );
}

/** Lower bounds of the classes of short sides. */
const sideClasses = [0, 64, 224, 448, 1024, 4096] as const;

function shortSides(database: IndexDatabase): Counts {
  const sums = new Map<string, number>();
  const sides = rowsOf(database, "SELECT min(width, height), count(*) FROM items WHERE reason IS NULL GROUP BY 1");
  for (const [side, count] of sides) {
    const name = sideClass(Number(side));
    sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return sorted([...sums]);
}

function sideClass(side: number): string {
  const index = sideClasses.findLastIndex((bound) => side >= bound);
  const next = sideClasses[index + 1];
  return next === undefined ? `${sideClasses[index]} or more` : `${sideClasses[index]} to ${next - 1}`;
}

function groupSizes(database: IndexDatabase): Pick<DataReport, "groups" | "imagesPerGroup"> | undefined {
  const sizes = database
    .prepare(
      `SELECT count(*) AS size FROM items WHERE reason IS NULL AND "group" IS NOT NULL GROUP BY "group" ORDER BY size`,
    )
    .pluck()
    .all() as number[];
  if (sizes.length === 0) return undefined;
  const median = sizes[Math.floor(sizes.length / 2)]!;
  return { groups: sizes.length, imagesPerGroup: { least: sizes[0]!, median, most: sizes.at(-1)! } };
}

function rangeOf(database: IndexDatabase, column: "width" | "height"): Range {
  const sql = `SELECT min(${column}) AS least, max(${column}) AS most FROM items WHERE reason IS NULL`;
  return database.prepare(sql).get() as Range;
}

function namesLeftOut(database: IndexDatabase): LeftOut[] {
  const all = database
    .prepare(
      `SELECT id, reason FROM files WHERE reason IS NOT NULL UNION ALL
       SELECT id, reason FROM items WHERE reason IS NOT NULL ORDER BY id`,
    )
    .iterate() as IterableIterator<LeftOut>;
  const named: LeftOut[] = [];
  for (const one of all) {
    if (isExclusion(one.reason)) continue;
    named.push(one);
    if (named.length === mostNamed) break;
  }
  return named;
}

function equalPixels(database: IndexDatabase): string[][] {
  const groups = database
    .prepare(
      `SELECT json_group_array(id) FROM (SELECT id, digest FROM items WHERE reason IS NULL AND digest IS NOT NULL ORDER BY id)
       GROUP BY digest HAVING count(*) > 1 LIMIT ${mostNamed}`,
    )
    .pluck()
    .all() as string[];
  return groups.map((ids) => (JSON.parse(ids) as string[]).sort()).sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
}

function alike(database: IndexDatabase): string[][] {
  const condition = "reason IS NULL AND hash IS NOT NULL";
  const count = database.prepare(`SELECT count(*) FROM items WHERE ${condition}`).pluck().get() as number;
  const hashes = new Uint8Array(count * hashBytes);
  const items = new Int32Array(count);
  let at = 0;
  const rows = database.prepare(`SELECT item, hash FROM items WHERE ${condition} ORDER BY id`).raw().iterate();
  for (const [item, hash] of rows as IterableIterator<[number, Uint8Array]>) {
    items[at] = item;
    hashes.set(hash, at++ * hashBytes);
  }
  const idOf = database.prepare("SELECT id FROM items WHERE item = ?").pluck();
  return nearDuplicates(hashes)
    .slice(0, mostNamed)
    .map((group) => group.map((member) => idOf.get(items[member]) as string));
}
