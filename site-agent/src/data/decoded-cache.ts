import type { RgbImage } from "./image.js";
import { type SourceItem, splitPartId } from "./source.js";

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

  /** Makes room by forgetting the images of files that are gone or have changed. */
  forget(fileIds: readonly string[]): void {
    if (fileIds.length === 0) return;
    const stale = new Set(fileIds);
    for (const id of this.#entries.keys()) if (stale.has(id) || stale.has(splitPartId(id).fileId)) this.#remove(id);
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#bytes -= entry.image.data.byteLength;
  }
}
