import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ItemList, ReasonCounts } from "./index/item-list.js";
import type { SourceItem, UnreadableReason } from "./source.js";

interface Entry {
  readonly stamp: string;
  readonly reason: UnreadableReason;
}

/** Reasons that may pass without the file changing. */
const passing: ReadonlySet<UnreadableReason> = new Set(["missing", "no-permission"]);

const sumOf = (counts: ReasonCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** So many unreadable images, and not one that can be read, say that all are unreadable. */
const hopelessCount = 64;

/** Images that could not be read: left out, counted, and not tried again until they change. */
export class Quarantine {
  readonly #maxShare: number;
  readonly #entries = new Map<string, Entry>();
  /** Known to be unreadable before the list was made. */
  #listed: ReasonCounts = {};
  #total = 0;
  #anyReadable = false;

  /** @param maxShare largest share of unreadable images with which training goes on */
  constructor(maxShare: number) {
    this.#maxShare = maxShare;
  }

  /**
   * To be called with every new listing: forgets files that changed, are gone, or may have come back.
   * @throws ConsiliumError "not-enough-data" when too many of those that remain are unreadable
   */
  begin(items: ItemList): void {
    this.#listed = items.unreadable;
    this.#total = items.length + sumOf(this.#listed);
    for (const [id, { stamp, reason }] of this.#entries) {
      if (items.stampOf(id) !== stamp || passing.has(reason)) this.#entries.delete(id);
    }
    this.#requireEnough();
  }

  holds(item: SourceItem): boolean {
    return this.#entries.get(item.id)?.stamp === item.stamp;
  }

  noteReadable(): void {
    this.#anyReadable = true;
  }

  /** @throws ConsiliumError "not-enough-data" when too many images are unreadable */
  add(item: SourceItem, reason: UnreadableReason): void {
    this.#entries.set(item.id, { stamp: item.stamp, reason });
    this.#requireEnough();
  }

  #requireEnough(): void {
    const failed = this.size;
    if (failed === 0) return;
    const hopeless = !this.#anyReadable && failed >= Math.min(this.#total, hopelessCount);
    if (hopeless || failed >= this.#total || failed > this.#maxShare * this.#total) throw this.#tooMany();
  }

  /** Images of the list that turned out unreadable. */
  get found(): number {
    return this.#entries.size;
  }

  /** These, and what the list knew before. */
  get size(): number {
    return this.#entries.size + sumOf(this.#listed);
  }

  counts(): Record<string, number> {
    const counts: Record<string, number> = { ...this.#listed };
    for (const { reason } of this.#entries.values()) counts[reason] = (counts[reason] ?? 0) + 1;
    return counts;
  }

  #tooMany(): ConsiliumError {
    const reasons = Object.entries(this.counts()).map(([reason, count]) => `${count} ${reason}`);
    const message = `${this.size} of ${this.#total} images cannot be read: ${reasons.join(", ")}`;
    return new ConsiliumError("not-enough-data", message, {
      remedy: "run `consilium-agent check-data` for the files' names, or allow a larger `maxUnreadableShare`",
    });
  }
}
