import { createHash } from "node:crypto";
import { AbortedError } from "@consilium/shared/errors.js";
import { perceptualHash } from "./curation/perceptual-hash.js";
import { type DataReport, reportOf } from "./data-report.js";
import type { DataSettings } from "./data-settings.js";
import { findFiles } from "./find-images.js";
import type { RgbImage } from "./image.js";
import { ItemIndex, indexPurpose } from "./index/item-index.js";
import { scan } from "./index/scan.js";
import { openSource } from "./open-source.js";
import { type ImageSource, type SourceItem, UnreadableImage } from "./source.js";

export interface CheckOptions {
  readonly settings: DataSettings;
  /** Where the index is kept, so that the next check opens only what changed; absent: in memory. */
  readonly indexPath?: string;
  /** For the estimate of steps in an epoch. */
  readonly batchSize?: number;
  /** Files are listed first, then their images are read. The total is known while reading only. */
  readonly onProgress?: (phase: "listing" | "reading", done: number, total?: number) => void;
  readonly signal?: AbortSignal;
  /** Told of some readable images, spread over all, for a page that shows them. */
  readonly onSample?: (id: string, image: RgbImage) => Promise<void>;
}

/** Small, because only the outcome counts; still every byte of the image is decoded. */
const probeSize = 64;
const samples = 48;

/**
 * Reads every chosen image as training would and says what is there. The report names files: it stays with the site.
 * @throws ConsiliumError "input-unreadable", "config-invalid", "config-missing", "not-enough-data"; AbortedError
 */
export async function checkData(options: CheckOptions): Promise<DataReport> {
  const { settings, indexPath = ":memory:", batchSize = 64, onProgress, signal } = options;
  const source = openSource({ settings: { ...settings, workingSize: probeSize }, imageSize: probeSize });
  const index = new ItemIndex(indexPath, indexPurpose(settings));
  try {
    const { concurrency } = settings;
    const watched = signal === undefined ? {} : { signal };
    await scan({ source, index, concurrency, ...watched, onProgress: (files) => onProgress?.("listing", files) });
    await readAll({ source, index, options });
    if (options.onSample !== undefined) await showSamples({ source, index, onSample: options.onSample });
    return { ...reportOf(index, { settings, batchSize }), ...(await notChosen(settings, index)) };
  } finally {
    index.close();
    await source.close();
  }
}

interface Checking {
  readonly source: ImageSource;
  readonly index: ItemIndex;
  readonly options: CheckOptions;
}

async function readAll({ source, index, options }: Checking): Promise<void> {
  const { settings, signal, onProgress } = options;
  const unchecked = index.unchecked();
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < unchecked.length; at = next++) {
      if (signal?.aborted) throw new AbortedError();
      await readOne(unchecked.at(at), { source, index });
      onProgress?.("reading", ++done, unchecked.length);
    }
  };
  await Promise.all(Array.from({ length: settings.concurrency }, lane));
}

async function readOne(item: SourceItem, { source, index }: Pick<Checking, "source" | "index">): Promise<void> {
  try {
    index.notePixels(item.id, pixelFacts(await source.read(item)));
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    index.noteUnreadable(item.id, thrown.reason);
  }
}

function pixelFacts(image: RgbImage) {
  const digest = createHash("sha256").update(`${image.width}x${image.height}`).update(image.data).digest();
  return { digest, hash: perceptualHash(image) };
}

async function showSamples({
  source,
  index,
  onSample,
}: Omit<Checking, "options"> & Required<Pick<CheckOptions, "onSample">>) {
  const list = index.list();
  for (let sample = 0; sample < Math.min(samples, list.length); sample++) {
    const item = list.at(Math.floor((sample * list.length) / Math.min(samples, list.length)));
    await onSample(item.id, await source.read(item));
  }
}

/** Files that training passes over, so that a wrong path or a forgotten row shows. */
async function notChosen(settings: DataSettings, index: ItemIndex) {
  if (settings.source !== "folder") return {};
  let [imagesNotChosen, otherFiles] = [0, 0];
  for (const { id, isImage } of await findFiles(settings.path)) {
    if (index.hasFile(id)) continue;
    if (isImage) imagesNotChosen++;
    else otherFiles++;
  }
  return { imagesNotChosen, otherFiles };
}
