import { type Random, randomFor } from "@consilium/shared/random.js";
import type { BatchMemory, BatchViews } from "./batch-memory.js";
import { DecodedCache } from "./decoded-cache.js";
import type { RgbImage } from "./image.js";
import { createLimiter, type Limiter } from "./limiter.js";
import type { ImageSource, SourceItem } from "./source.js";

/** Turns a decoded image into all arrays that a batch has of it, in their order. `randomOf` gives each a generator by name. */
export type Augment = (image: RgbImage, randomOf: (view: string) => Random) => readonly Uint8Array[];

export interface ViewRequest {
  readonly item: SourceItem;
  /** Names the randomness; a view's own name is added to it. */
  readonly randomName: readonly (string | number)[];
}

/** Where an image's views go. */
export interface BatchRow {
  readonly memory: BatchMemory;
  readonly row: number;
}

/** Decodes and augments, here or in threads of its own. The same request gives the same bits everywhere. */
export interface ViewMaker {
  /** To be called after every listing with the ids of files that are gone or have changed. */
  forget(fileIds: readonly string[]): void;
  /**
   * Writes the views of an image to their places.
   * @returns the whole batch when this was its last row
   * @throws UnreadableImage, or ConsiliumError "input-unreadable" when the source fails as a whole
   */
  make(request: ViewRequest, target: BatchRow): Promise<BatchViews | undefined>;
  close(): Promise<void>;
}

export interface LocalViewMakerOptions {
  readonly source: Pick<ImageSource, "read" | "close">;
  readonly augment: Augment;
  readonly cacheBytes: number;
  /** Images that are decoded at the same time. */
  readonly concurrency: number;
}

/** Makes views in the calling thread; decoding itself runs beside it. */
export class LocalViewMaker implements ViewMaker {
  readonly #options: LocalViewMakerOptions;
  readonly #cache: DecodedCache;
  readonly #limited: Limiter;

  constructor(options: LocalViewMakerOptions) {
    this.#options = options;
    this.#cache = new DecodedCache(options.cacheBytes);
    this.#limited = createLimiter(options.concurrency);
  }

  forget(fileIds: readonly string[]): void {
    this.#cache.forget(fileIds);
  }

  async make({ item, randomName }: ViewRequest, { memory, row }: BatchRow): Promise<BatchViews | undefined> {
    const image = this.#cache.get(item) ?? (await this.#decode(item));
    return memory.write(
      row,
      this.#options.augment(image, (view) => randomFor(...randomName, view)),
    );
  }

  close(): Promise<void> {
    return this.#options.source.close();
  }

  async #decode(item: SourceItem): Promise<RgbImage> {
    const image = await this.#limited(() => this.#options.source.read(item));
    this.#cache.add(item, image);
    return image;
  }
}
