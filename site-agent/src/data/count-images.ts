import { chooseFiles } from "./chosen-files.js";
import type { DataSettings } from "./data-settings.js";
import { ItemIndex, indexPurpose } from "./index/item-index.js";
import { scan } from "./index/scan.js";
import { openSource } from "./open-source.js";

/**
 * How many images a site has to train on. In a folder of photos every file is one; elsewhere new and changed files are
 * opened for their frames, slices or tiles, which a first time can take long: `check-data` does the same beforehand.
 * @throws ConsiliumError "input-unreadable", "not-enough-data", "config-invalid", "config-missing"
 */
export async function countImages(settings: DataSettings): Promise<number> {
  if (settings.source === "folder") return (await chooseFiles(settings)).length;
  // The side of a model's input decides how large images are read, not how many there are.
  const source = openSource({ settings, imageSize: 224 });
  const index = new ItemIndex(settings.indexPath ?? ":memory:", indexPurpose(settings));
  try {
    await scan({ source, index, concurrency: settings.concurrency });
    return index.list().length;
  } finally {
    index.close();
    await source.close();
  }
}
