import type { RgbImage } from "./image.js";
import type { SourceItem } from "./source.js";

interface Entry {
  readonly stamp: string;
  readonly image: RgbImage;
}

/**
 * Decoded images in memory, up to a number of bytes. What is in stays in while its file is unchanged: an epoch visits
 * every image once in random order, where replacing the least recently used would nearly always throw out what is
 * needed next (with room for half the images it would hit 15 % instead of 50 %).
 */
export class DecodedCache {
  readonly #limitBytes: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(item: SourceItem): RgbImage | undefined {
    const entry = this.#entries.get(item.id);
    return entry?.stamp === item.stamp ? entry.image : undefined;
  }

  /** Keeps the image if there is room. */
  add(item: SourceItem, image: RgbImage): void {
    this.#remove(item.id);
    if (this.#bytes + image.data.byteLength > this.#limitBytes) return;
    this.#entries.set(item.id, { stamp: item.stamp, image });
    this.#bytes += image.data.byteLength;
  }

  /** To be called with every new listing: makes room by forgetting what is gone or has changed. */
  retain(items: readonly SourceItem[]): void {
    const stamps = new Map(items.map(({ id, stamp }) => [id, stamp]));
    for (const [id, { stamp }] of this.#entries) if (stamps.get(id) !== stamp) this.#remove(id);
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#bytes -= entry.image.data.byteLength;
  }
}
