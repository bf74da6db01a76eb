import { chooseFiles, rowFacts } from "./chosen-files.js";
import type { DataSettings } from "./data-settings.js";
import { ItemIndex, indexPurpose } from "./index/item-index.js";
import { itemListOf } from "./index/item-list.js";
import { scan } from "./index/scan.js";
import { openSource } from "./open-source.js";
import { patientsOf } from "./patients.js";

/**
 * How many patients a site's images show. In a folder of photos the labels say it; elsewhere new and changed files are
 * opened.
 * @throws ConsiliumError "config-invalid" where images do not say whose they are, and as `countImages`
 */
export async function countPatients(settings: DataSettings): Promise<number> {
  if (settings.source === "folder") {
    const files = await chooseFiles(settings);
    const items = files.map(({ id, row }) => ({ id, stamp: "", ...rowFacts(row, settings.columns) }));
    return patientsOf({ items: itemListOf(items), settings }).images.length;
  }
  const source = openSource({ settings, imageSize: 224 });
  const index = new ItemIndex(settings.indexPath ?? ":memory:", indexPurpose(settings));
  try {
    await scan({ source, index, concurrency: settings.concurrency });
    return patientsOf({ items: index.list(), settings }).images.length;
  } finally {
    index.close();
    await source.close();
  }
}
