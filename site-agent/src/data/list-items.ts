import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { type ImageSource, isExclusion, type SourceItem, UnreadableImage } from "./source.js";

/**
 * Opens everything that a source holds. A file that cannot be opened is listed as one image, so that training counts it
 * among the unreadable; what is left out on purpose is not listed.
 * @throws ConsiliumError "not-enough-data" when nothing is there, "input-unreadable" when the place cannot be read
 */
export async function listItems(source: ImageSource, signal?: AbortSignal): Promise<readonly SourceItem[]> {
  const items: SourceItem[] = [];
  for await (const file of source.files(signal)) {
    if (signal?.aborted) throw new AbortedError();
    try {
      items.push(...(await source.items(file)));
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
      if (!isExclusion(thrown.reason)) items.push({ id: file.id, stamp: file.stamp });
    }
  }
  if (items.length === 0) {
    throw new ConsiliumError("not-enough-data", "the source holds no image", {
      remedy: "check the path and `where`; `consilium-agent check-data` says what was left out and why",
    });
  }
  return items;
}
