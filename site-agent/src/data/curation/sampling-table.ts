import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Random } from "@consilium/shared/random.js";

/** What each item counts under, as numbers from 0, so that a million items take four arrays. */
export interface ItemKeys {
  /** What experts group by: laboratory, scanner, stain. */
  readonly group: Int32Array;
  /** -1: never drawn. */
  readonly cluster: Int32Array;
  /** Slide, or whatever file holds the item. */
  readonly slide: Int32Array;
  readonly patient: Int32Array;
}

export interface SamplingRule {
  /** a: a group of n items is drawn in proportion to n^a; 1 as there are items, 0 every group alike. */
  readonly exponent: number;
  /** Of each cluster. Inside a group, a cluster that is there is drawn in proportion to its weight, however many items it has. */
  readonly weights: ArrayLike<number>;
}

/** One cluster of one group. */
export interface CellShare {
  readonly group: number;
  readonly cluster: number;
  readonly items: number;
  /** Probability that a draw falls here. */
  readonly share: number;
}

/**
 * Draws an item: a group, a cluster of the group by weight, a slide of these evenly, a patch of the slide evenly. The items
 * lie in the order of these four, and each level holds where its parts begin.
 */
export class SamplingTable {
  /** Items that may be drawn, by group, cluster and slide. */
  readonly members: Int32Array;
  /** Where each slide's part begins in `members`, and one place more; so for the other levels. */
  readonly #slides: Int32Array;
  readonly #cells: Int32Array;
  readonly #groups: Int32Array;
  /** Sums of the weights before each cell, and the sum of all. */
  readonly #cellWeights: Float64Array;
  readonly #groupWeights: Float64Array;
  readonly #keys: ItemKeys;

  /** @throws ConsiliumError "not-enough-data" when no item may be drawn */
  constructor(keys: ItemKeys, { exponent, weights }: SamplingRule) {
    this.#keys = keys;
    this.members = sortedMembers(keys, weights);
    if (this.members.length === 0) throw nothingLeft();
    const { group, cluster, slide } = keys;
    this.#slides = boundaries(this.members, [group, cluster, slide]);
    const firsts = this.#slides.subarray(0, -1).map((at) => this.members[at]!);
    this.#cells = boundaries(firsts, [group, cluster]);
    const cellFirsts = this.#cells.subarray(0, -1).map((at) => firsts[at]!);
    this.#groups = boundaries(cellFirsts, [group]);
    this.#cellWeights = runningSums(cellFirsts, (item) => weights[cluster[item]!]!);
    this.#groupWeights = runningSums(this.#groups.subarray(0, -1), (_, index) => this.#groupItems(index) ** exponent);
  }

  draw(random: Random): number {
    const group = placeOf(this.#groupWeights, 0, this.#groupWeights.length - 1, random.uniform());
    const cell = placeOf(this.#cellWeights, this.#groups[group]!, this.#groups[group + 1]!, random.uniform());
    const slide = drawBetween(this.#cells, cell, random);
    return this.members[drawBetween(this.#slides, slide, random)]!;
  }

  /** Every cluster of every group with the share of draws that it gets. */
  shares(): CellShare[] {
    const groupTotal = this.#groupWeights.at(-1)!;
    return Array.from({ length: this.#groups.length - 1 }, (_, group) => {
      const [from, to] = [this.#groups[group]!, this.#groups[group + 1]!];
      const groupShare = (this.#groupWeights[group + 1]! - this.#groupWeights[group]!) / groupTotal;
      const cellTotal = this.#cellWeights[to]! - this.#cellWeights[from]!;
      return Array.from({ length: to - from }, (_cell, index) => {
        const weight = this.#cellWeights[from + index + 1]! - this.#cellWeights[from + index]!;
        return { ...this.#cellFacts(from + index), share: (groupShare * weight) / cellTotal };
      });
    }).flat();
  }

  #cellFacts(cell: number): Omit<CellShare, "share"> {
    const [from, to] = [this.#cellStart(cell), this.#cellStart(cell + 1)];
    const item = this.members[from]!;
    return { group: this.#keys.group[item]!, cluster: this.#keys.cluster[item]!, items: to - from };
  }

  #cellStart(cell: number): number {
    return this.#slides[this.#cells[cell]!]!;
  }

  #groupItems(group: number): number {
    return this.#cellStart(this.#groups[group + 1]!) - this.#cellStart(this.#groups[group]!);
  }
}

function nothingLeft(): ConsiliumError {
  return new ConsiliumError("not-enough-data", "curation leaves no image: every cluster is dropped or has weight 0", {
    remedy: "give a cluster of the clusters file a weight; `consilium-agent curate show` lists them",
  });
}

/** Items of a cluster that is drawn, in order of their keys. */
function sortedMembers({ group, cluster, slide }: ItemKeys, weights: ArrayLike<number>): Int32Array {
  const all = Int32Array.from(group.keys());
  const kept = all.filter((item) => cluster[item]! >= 0 && weights[cluster[item]!]! > 0);
  return [slide, cluster, group].reduce(stablySorted, kept);
}

/** Counting sort: one pass over the items, whatever there are. */
function stablySorted(items: Int32Array, keys: Int32Array): Int32Array {
  const places = new Int32Array(largest(items, keys) + 2);
  for (const item of items) places[keys[item]! + 1]!++;
  for (let key = 1; key < places.length; key++) places[key]! += places[key - 1]!;
  const sorted = new Int32Array(items.length);
  for (const item of items) sorted[places[keys[item]!]!++] = item;
  return sorted;
}

function largest(items: Int32Array, keys: Int32Array): number {
  let most = -1;
  for (const item of items) if (keys[item]! > most) most = keys[item]!;
  return most;
}

/** Where any of the keys changes along the items; begins with 0 and ends with their number. */
function boundaries(items: Int32Array, keys: readonly Int32Array[]): Int32Array {
  const changes = (at: number) => at === 0 || keys.some((key) => key[items[at]!] !== key[items[at - 1]!]);
  let count = 0;
  for (let at = 0; at < items.length; at++) if (changes(at)) count++;
  const starts = new Int32Array(count + 1);
  let next = 0;
  for (let at = 0; at < items.length; at++) if (changes(at)) starts[next++] = at;
  starts[next] = items.length;
  return starts;
}

function runningSums(items: Int32Array, weightOf: (item: number, index: number) => number): Float64Array {
  const sums = new Float64Array(items.length + 1);
  for (const [index, item] of items.entries()) sums[index + 1] = sums[index]! + weightOf(item, index);
  return sums;
}

/** The part between `from` and `to` in which a share of their sum lies. */
function placeOf(sums: Float64Array, from: number, to: number, share: number): number {
  const wanted = sums[from]! + share * (sums[to]! - sums[from]!);
  let [low, high] = [from, to - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle + 1]! > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

function drawBetween(starts: Int32Array, part: number, random: Random): number {
  return starts[part]! + random.integer(starts[part + 1]! - starts[part]!);
}
