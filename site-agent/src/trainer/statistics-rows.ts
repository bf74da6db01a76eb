import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { AbortedError } from "@consilium/shared/errors.js";
import type { FeatureRows } from "../data/curation/feature-rows.js";
import { type ListedImages, withListedImages } from "../data/curation/listed-images.js";
import { statisticCount, statisticNames, statisticsOf } from "../data/curation/statistics.js";
import type { DataSettings } from "../data/data-settings.js";
import { mapLimited } from "../data/limiter.js";
import { Quarantine } from "../data/quarantine.js";
import { type SourceItem, UnreadableImage } from "../data/source.js";
import { StatisticsCache } from "./statistics-cache.js";

export interface SiteRows {
  /** Of every readable image. */
  readonly rows: FeatureRows;
  /** Images left out because they could not be read, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
}

export interface RowsRequest {
  readonly settings: DataSettings;
  /** File that keeps statistics from round to round. */
  readonly cachePath: string;
  readonly signal?: AbortSignal;
}

/**
 * Statistics of the site's images, of which only those are read that are new since the last time.
 * @throws ConsiliumError "input-unreadable", "not-enough-data" when too many cannot be read, "storage"; AbortedError
 */
export function siteRows({ settings, cachePath, signal }: RowsRequest): Promise<SiteRows> {
  const watched = signal === undefined ? {} : { signal };
  return withListedImages({ settings, ...watched }, async (images) => {
    const cache = await StatisticsCache.open(cachePath, purposeOf(settings));
    const quarantine = new Quarantine(settings.maxUnreadableShare);
    quarantine.begin(images.items);
    const read = async (item: SourceItem): Promise<Float32Array | undefined> => {
      if (signal?.aborted) throw new AbortedError();
      return cache.get(item) ?? readItem(images, item, quarantine);
    };
    const items = Array.from({ length: images.items.length }, (_, index) => images.items.at(index));
    const found = await mapLimited(items, settings.concurrency, read);
    const pairs = items.flatMap((item, at) => (found[at] === undefined ? [] : [[item, found[at]] as const]));
    await cache.replace(pairs);
    return { rows: joined(pairs.map(([, row]) => row)), skipped: quarantine.counts() };
  });
}

/** What else decides an image's statistics: how the site's images are read, and which numbers are taken of them. */
function purposeOf({ indexPath: _index, concurrency: _concurrency, ...settings }: DataSettings): string {
  return canonicalJson({ settings, statisticNames });
}

async function readItem(
  { source }: Pick<ListedImages, "source">,
  item: SourceItem,
  quarantine: Quarantine,
): Promise<Float32Array | undefined> {
  try {
    const statistics = statisticsOf(await source.read(item));
    quarantine.noteReadable();
    return statistics;
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    quarantine.add(item, thrown.reason);
    return undefined;
  }
}

function joined(rows: readonly Float32Array[]): FeatureRows {
  const data = new Float32Array(rows.length * statisticCount);
  for (const [at, row] of rows.entries()) data.set(row, at * statisticCount);
  return { data, width: statisticCount };
}
