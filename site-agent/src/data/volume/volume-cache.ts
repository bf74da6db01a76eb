interface Entry<T> {
  readonly stamp: string;
  readonly value: Promise<T>;
  bytes: number;
}

/**
 * Keeps what was made from files, the latest used longest, up to a number of bytes. One that is being made is made once
 * for all who ask; what fails is forgotten. The latest is kept even where it alone is too large, so that its slices are
 * not each decoded from the start.
 */
export class VolumeCache<T extends { readonly data: Uint8Array }> {
  readonly #capacity: number;
  /** The latest used last. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async get(id: string, stamp: string, make: () => Promise<T>): Promise<T> {
    const found = this.#entries.get(id);
    const entry = found?.stamp === stamp ? found : { stamp, value: make(), bytes: 0 };
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    try {
      const value = await entry.value;
      entry.bytes = value.data.byteLength;
      this.#evict();
      return value;
    } catch (thrown) {
      if (this.#entries.get(id) === entry) this.#entries.delete(id);
      throw thrown;
    }
  }

  clear(): void {
    this.#entries.clear();
  }

  #evict(): void {
    let total = 0;
    for (const { bytes } of this.#entries.values()) total += bytes;
    for (const [id, { bytes }] of this.#entries) {
      if (total <= this.#capacity || this.#entries.size === 1) return;
      this.#entries.delete(id);
      total -= bytes;
    }
  }
}
