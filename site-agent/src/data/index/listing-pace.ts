/** Listings that take longer than this are repeated so rarely that they take this share of the time at most. */
const quickMs = 1000;
const share = 0.02;

/** When a source is to be listed again: at once if that is quick, else the later the longer the last listing took. */
export class ListingPace {
  readonly #now: () => number;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds; only differences count */
  constructor(now: () => number) {
    this.#now = now;
  }

  get isDue(): boolean {
    return this.#now() >= this.#notBefore;
  }

  async pace<T>(listing: () => Promise<T>): Promise<T> {
    const beganAt = this.#now();
    const listed = await listing();
    const tookMs = this.#now() - beganAt;
    this.#notBefore = tookMs > quickMs ? this.#now() + tookMs / share : beganAt;
    return listed;
  }
}
