import { type DrawSeed, permutation, randomFor } from "@consilium/shared/random.js";

/** A place in a site's endless sequence of images. */
export interface Slot {
  readonly epoch: number;
  /** From 0, inside the epoch. */
  readonly position: number;
  /** Index of the item in the source's list. */
  readonly index: number;
}

/** Which item a place holds. Any place can be asked for without those before it. */
export interface ItemOrder {
  /** Places of an epoch. */
  readonly epochLength: number;
  /** Whether an item may have several places in an epoch. */
  readonly mayRepeat: boolean;
  /** @param place from 0; batch `b` of size `B` holds the places from `b · B` on */
  slot(place: number): Slot;
}

/** Epochs that follow each other without a gap. What each holds is drawn by itself when it is reached, and again when asked. */
export abstract class DrawnEpochs implements ItemOrder {
  abstract readonly mayRepeat: boolean;
  abstract readonly epochLength: number;
  /** A batch reaches over two epochs, and more only where it is longer than one. */
  readonly #recent = new Map<number, Int32Array>();

  /** @returns indices of items, `epochLength` of them, the same for the same epoch */
  protected abstract draw(epoch: number): Int32Array;

  slot(place: number): Slot {
    const epoch = Math.floor(place / this.epochLength);
    const position = place % this.epochLength;
    return { epoch, position, index: this.#epoch(epoch)[position]! };
  }

  #epoch(epoch: number): Int32Array {
    const known = this.#recent.get(epoch);
    if (known !== undefined) return known;
    const items = this.draw(epoch);
    this.#recent.set(epoch, items);
    for (const old of this.#recent.keys()) if (this.#recent.size > 2) this.#recent.delete(old);
    return items;
  }
}

/** Each epoch is a permutation of all items that depends only on (seed, site, epoch). */
export class EpochOrder extends DrawnEpochs {
  readonly mayRepeat = false;
  readonly epochLength: number;
  readonly #seed: DrawSeed;
  readonly #siteId: string;

  constructor(options: { seed: DrawSeed; siteId: string; items: number }) {
    super();
    this.#seed = options.seed;
    this.#siteId = options.siteId;
    this.epochLength = options.items;
  }

  protected draw(epoch: number): Int32Array {
    return permutation(this.epochLength, randomFor("order", this.#seed, this.#siteId, epoch));
  }
}
