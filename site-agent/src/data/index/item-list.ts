import type { SourceItem, UnreadableReason } from "../source.js";

/** The images that training chooses from, in an order that stays while the same images are there. */
export interface ItemList {
  readonly length: number;
  /** @param index from 0 to length - 1 */
  at(index: number): SourceItem;
  /** Absent when there is no such image any more. */
  stampOf(id: string): string | undefined;
  /** What is there beside, and could not be read when it was listed or checked. */
  readonly unreadable: ReasonCounts;
}

export type ReasonCounts = Readonly<Partial<Record<UnreadableReason, number>>>;

/** A list that is in memory. */
export function itemListOf(items: readonly SourceItem[], unreadable: ReasonCounts = {}): ItemList {
  const stamps = new Map(items.map(({ id, stamp }) => [id, stamp]));
  return {
    length: items.length,
    at: (index) => items[index]!,
    stampOf: (id) => stamps.get(id),
    unreadable,
  };
}
