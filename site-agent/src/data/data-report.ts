import type { DataSettings } from "./data-settings.js";
import type { ImageFacts } from "./decode.js";
import type { LabelRow } from "./labels.js";
import type { UnreadableReason } from "./source.js";

export type Counts = Readonly<Record<string, number>>;

export interface Range {
  readonly least: number;
  readonly most: number;
}

export interface UnreadableFile {
  readonly id: string;
  readonly reason: UnreadableReason;
  readonly message: string;
}

/** What a site's data holds. Names files; never leaves the site. */
export interface DataReport {
  readonly path: string;
  /** Readable images. */
  readonly images: number;
  readonly bytes: number;
  readonly formats: Counts;
  /** By the shorter side in pixels. */
  readonly shortSides: Counts;
  readonly labels: Counts;
  readonly splits: Counts;
  /** Distinct values of the group column; absent without such a column. */
  readonly groups?: number;
  /** In pixels, before rotation by EXIF; absent when nothing is readable. */
  readonly width?: Range;
  readonly height?: Range;
  readonly unreadable: readonly UnreadableFile[];
  readonly unreadableByReason: Counts;
  /** Ids of files with equal bytes, at least two each. */
  readonly duplicates: readonly (readonly string[])[];
  /** Images in the folder that the labels file or its filter leaves out. */
  readonly imagesNotChosen: number;
  readonly otherFiles: number;
  readonly batchSize: number;
  /** Readable images over batch size, rounded up. */
  readonly stepsPerEpoch: number;
}

export interface InspectedImage {
  readonly id: string;
  readonly row: LabelRow | undefined;
  readonly facts: ImageFacts;
  readonly digest: string;
  readonly bytes: number;
}

/** Lower bounds of the classes of short sides. */
const sideClasses = [0, 64, 224, 448, 1024, 4096] as const;

function sideClass(side: number): string {
  const index = sideClasses.findLastIndex((bound) => side >= bound);
  const next = sideClasses[index + 1];
  return next === undefined ? `${sideClasses[index]} or more` : `${sideClasses[index]} to ${next - 1}`;
}

class Tally {
  readonly #counts = new Map<string, number>();

  add(key: string | undefined): void {
    if (key !== undefined) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  get size(): number {
    return this.#counts.size;
  }

  /** Sorted by key, numbers by value, so that reports compare. */
  build(): Counts {
    const collator = new Intl.Collator("en", { numeric: true });
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => collator.compare(a, b)));
  }
}

function widen(range: Range | undefined, value: number): Range {
  return range === undefined
    ? { least: value, most: value }
    : { least: Math.min(range.least, value), most: Math.max(range.most, value) };
}

/** Gathers the report while images are inspected, in any order. */
export class ReportBuilder {
  readonly #settings: DataSettings;
  readonly #formats = new Tally();
  readonly #sides = new Tally();
  readonly #labels = new Tally();
  readonly #splits = new Tally();
  readonly #groups = new Tally();
  readonly #byDigest = new Map<string, string[]>();
  readonly #unreadable: UnreadableFile[] = [];
  #images = 0;
  #bytes = 0;
  #width: Range | undefined;
  #height: Range | undefined;
  #imagesNotChosen = 0;
  #otherFiles = 0;

  constructor(settings: DataSettings) {
    this.#settings = settings;
  }

  addImage({ id, row, facts, digest, bytes }: InspectedImage): void {
    const { columns } = this.#settings;
    this.#images++;
    this.#bytes += bytes;
    this.#formats.add(facts.format);
    this.#sides.add(sideClass(Math.min(facts.width, facts.height)));
    this.#labels.add(row?.[columns.label]);
    this.#splits.add(row?.[columns.split]);
    this.#groups.add(row?.[columns.group]);
    this.#width = widen(this.#width, facts.width);
    this.#height = widen(this.#height, facts.height);
    this.#byDigest.set(digest, [...(this.#byDigest.get(digest) ?? []), id]);
  }

  addUnreadable(file: UnreadableFile): void {
    this.#unreadable.push(file);
  }

  addUnused(isImage: boolean): void {
    if (isImage) this.#imagesNotChosen++;
    else this.#otherFiles++;
  }

  build(batchSize: number): DataReport {
    const byId = (a: string, b: string): number => (a < b ? -1 : 1);
    const reasons = new Tally();
    for (const { reason } of this.#unreadable) reasons.add(reason);
    const duplicates = [...this.#byDigest.values()].filter(({ length }) => length > 1).map((ids) => ids.sort(byId));
    return {
      path: this.#settings.path,
      images: this.#images,
      bytes: this.#bytes,
      formats: this.#formats.build(),
      shortSides: this.#sides.build(),
      labels: this.#labels.build(),
      splits: this.#splits.build(),
      ...(this.#groups.size === 0 ? {} : { groups: this.#groups.size }),
      ...(this.#width === undefined ? {} : { width: this.#width }),
      ...(this.#height === undefined ? {} : { height: this.#height }),
      unreadable: this.#unreadable.sort((a, b) => byId(a.id, b.id)),
      unreadableByReason: reasons.build(),
      duplicates: duplicates.sort((a, b) => byId(a[0]!, b[0]!)),
      imagesNotChosen: this.#imagesNotChosen,
      otherFiles: this.#otherFiles,
      batchSize,
      stepsPerEpoch: Math.ceil(this.#images / batchSize),
    };
  }
}
