import type { Slide } from "./slide.js";

interface Entry {
  readonly slide: Promise<Slide>;
  users: number;
}

/** Open slides: the last used stay open, up to a number, for opening one costs as much as many tiles. */
export class SlidePool {
  readonly #open: (id: string) => Promise<Slide>;
  readonly #most: number;
  /** By id and stamp; the longest unused first. */
  readonly #entries = new Map<string, Entry>();

  constructor(open: (id: string) => Promise<Slide>, most = 8) {
    this.#open = open;
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A slide stays open while it is used, whatever the bound. A file that changed has another stamp and is opened anew. */
  async use<T>(file: { readonly id: string; readonly stamp: string }, task: (slide: Slide) => Promise<T>): Promise<T> {
    const key = JSON.stringify([file.id, file.stamp]);
    const entry = this.#entries.get(key) ?? { slide: this.#open(file.id), users: 0 };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      const slide = await entry.slide.catch((thrown: unknown) => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        throw thrown;
      });
      return await task(slide);
    } finally {
      entry.users--;
      await this.#shrink(this.#most);
    }
  }

  async #shrink(most: number): Promise<void> {
    const excess = this.#entries.size - most;
    if (excess <= 0) return;
    const unused = [...this.#entries].filter(([, { users }]) => users === 0).slice(0, excess);
    for (const [key] of unused) this.#entries.delete(key);
    await Promise.all(unused.map(async ([, { slide }]) => (await slide).close()));
  }

  async close(): Promise<void> {
    await this.#shrink(0);
  }
}
