import type { DataSettings } from "../data-settings.js";
import { ItemIndex, indexPurpose } from "../index/item-index.js";
import type { ItemList } from "../index/item-list.js";
import { scan } from "../index/scan.js";
import { openSource } from "../open-source.js";
import type { ImageSource } from "../source.js";

/** Short side of the images whose colours are compared; more pixels do not change the statistics by much. */
const side = 96;

export interface ListedImages {
  readonly source: ImageSource;
  readonly items: ItemList;
}

export interface ListingOptions {
  readonly settings: DataSettings;
  readonly signal?: AbortSignal;
  /** Told after each file; how many there are is known at the end only. */
  readonly onProgress?: (files: number) => void;
}

/**
 * Opens a site's source, small, and lists its images, as long as `use` runs.
 * @throws ConsiliumError "input-unreadable", "not-enough-data", "config-invalid"; AbortedError
 */
export async function withListedImages<T>(
  { settings, signal, onProgress }: ListingOptions,
  use: (images: ListedImages) => Promise<T>,
): Promise<T> {
  const source = openSource({ settings: { ...settings, workingSize: side }, imageSize: side });
  const index = new ItemIndex(settings.indexPath ?? ":memory:", indexPurpose(settings));
  try {
    const watched = {
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
    };
    await scan({ source, index, concurrency: settings.concurrency, ...watched });
    return await use({ source, items: index.list() });
  } finally {
    index.close();
    await source.close();
  }
}
