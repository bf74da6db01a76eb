import type { Delivered } from "@consilium/shared/protocol.js";
import type { Random } from "@consilium/shared/random.js";

/** How a coordinator of one seed lies: at random, and as often as the seed says. */
export class Lies {
  readonly #random: Random;
  /** Chance that any one thing said is bent. */
  readonly #malice: number;
  /** Chance that not all sites are shown the same list. */
  readonly #splits: number;

  constructor(random: Random) {
    this.#random = random;
    this.#malice = 0.2 * random.uniform() ** 3;
    this.#splits = 0.4 * random.uniform() ** 2;
  }

  happens(chance = this.#malice): boolean {
    return this.#random.uniform() < chance;
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.#random.integer(choices.length)]!;
  }

  shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((one) => ({ one, place: this.#random.uniform() }))
      .sort((a, b) => a.place - b.place)
      .map(({ one }) => one);
  }

  /** Everyone, and perhaps the same without a site or two: what one half of the sites is told, and what the other. */
  versionsOf(everyone: readonly string[]): readonly (readonly string[])[] {
    if (!this.happens(this.#splits)) return [everyone];
    const without = (count: number) => this.shuffled(everyone).slice(count);
    return [
      everyone,
      this.happens(0.5) ? without(1) : everyone,
      without(1),
      ...(this.happens(0.3) ? [without(2)] : []),
    ];
  }

  /** Mostly as it is; else with something missing, twice, or foreign. */
  bend<T>(list: readonly T[], foreign: readonly T[]): T[] {
    if (!this.happens()) return [...list];
    const shuffled = this.shuffled(list);
    switch (this.#random.integer(4)) {
      case 0:
        return shuffled.slice(1);
      case 1:
        return shuffled.slice(this.#random.integer(shuffled.length + 1));
      case 2:
        return [...shuffled, ...shuffled.slice(0, 1)];
      default:
        return [...shuffled, ...this.shuffled(foreign).slice(0, 1)];
    }
  }

  /** Rarely one byte of a share is another. */
  spoil(delivered: Delivered): Delivered {
    if (delivered.shares.length === 0 || !this.happens(this.#malice / 4)) return delivered;
    const spoiled = this.#random.integer(delivered.shares.length);
    const shares = delivered.shares.map((share, i) => {
      if (i !== spoiled) return share;
      const ciphertext = Uint8Array.from(share.ciphertext);
      ciphertext[0]! ^= 1;
      return { ...share, ciphertext };
    });
    return { ...delivered, shares };
  }
}
