import { blockWords, type SumSource } from "@consilium/shared/aggregate/next-checkpoint.js";

/** One of two pieces of memory that stretches are put into in turn. */
export type BlockIndex = 0 | 1;

/** Words [first, first + count), and where they are put. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
  readonly block: BlockIndex;
}

/** Fills a block and returns what was asked for. Called again before it is done, it does so in order. */
export type FillBlock = (stretch: Stretch) => Promise<Int32Array>;

interface UnderWay extends Stretch {
  readonly words: Promise<Int32Array>;
}

/**
 * A sum that is read forwards: while one stretch is used, the next is made by whoever fills the blocks. Words from
 * elsewhere are made when they are asked for.
 */
export class ReadAhead implements SumSource {
  readonly #words: number;
  readonly #fill: FillBlock;
  #given: BlockIndex = 1;
  #ahead: UnderWay | undefined;

  /** @param words of the whole sum */
  constructor(words: number, fill: FillBlock) {
    this.#words = words;
    this.#fill = fill;
    this.#lookAhead(0);
  }

  async range(first: number, count: number): Promise<Int32Array> {
    const stretch = this.#take(first, count) ?? this.#begin(first, count);
    const words = await stretch.words;
    this.#given = stretch.block;
    if (this.#ahead === undefined) this.#lookAhead(first + count);
    return words.subarray(first - stretch.first, first - stretch.first + count);
  }

  /** What is being made, if it has these words. */
  #take(first: number, count: number): UnderWay | undefined {
    const ahead = this.#ahead;
    if (ahead === undefined || first < ahead.first || first + count > ahead.first + ahead.count) return undefined;
    this.#ahead = undefined;
    return ahead;
  }

  #lookAhead(first: number): void {
    const count = Math.min(blockWords, this.#words - first);
    if (count > 0) this.#ahead = this.#begin(first, count);
  }

  #begin(first: number, count: number): UnderWay {
    const block = (this.#ahead?.block ?? this.#given) === 0 ? 1 : 0;
    const words = this.#fill({ first, count, block });
    // Whoever awaits it learns of a failure; perhaps nobody does.
    words.catch(() => {});
    return { first, count, block, words };
  }
}
