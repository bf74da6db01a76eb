import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { type ImageSource, type SourceFile, UnreadableImage } from "../source.js";
import type { ItemIndex } from "./item-index.js";

export interface ScanOptions {
  readonly source: Pick<ImageSource, "files" | "items">;
  readonly index: ItemIndex;
  /** Files that are open at the same time. */
  readonly concurrency: number;
  readonly signal?: AbortSignal;
  /** Told after each file; how many there are is known at the end only. */
  readonly onProgress?: (files: number) => void;
}

export interface Scanned {
  readonly files: number;
  /** Files that were opened because they are new or changed. */
  readonly opened: number;
  /** Ids of files that changed or are gone: what is remembered of their pixels is void. */
  readonly stale: readonly string[];
}

/**
 * Brings an index up to date with its source: opens only what is new or changed. An interrupted scan goes on where it was.
 * @throws ConsiliumError "input-unreadable" when the place cannot be read, in which case nothing is forgotten; AbortedError
 */
export async function scan({ source, index, concurrency, signal, onProgress }: ScanOptions): Promise<Scanned> {
  const stale: string[] = [];
  const underWay = new Set<Promise<void>>();
  let [files, opened] = [0, 0];
  let failure: unknown;
  index.startScan();
  try {
    for await (const file of source.files(signal)) {
      if (signal?.aborted) throw new AbortedError();
      if (failure !== undefined) break;
      const seen = index.see(file);
      if (seen === "changed") stale.push(file.id);
      if (seen !== "same") {
        opened++;
        const task = open(file, { source, index })
          .catch((thrown: unknown) => {
            failure ??= thrown;
          })
          .finally(() => underWay.delete(task));
        underWay.add(task);
        if (underWay.size >= concurrency) await Promise.race(underWay);
      }
      files++;
      onProgress?.(files);
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure;
    if (files === 0) throw nothingThere();
    stale.push(...index.forgetUnseen());
    return { files, opened, stale };
  } finally {
    await Promise.allSettled(underWay);
  }
}

async function open(file: SourceFile, { source, index }: Pick<ScanOptions, "source" | "index">): Promise<void> {
  try {
    index.record(file, await source.items(file));
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    index.refuse(file, thrown.reason);
  }
}

/** An empty mount point looks like a source that lost everything; what was known of it is kept. */
function nothingThere(): ConsiliumError {
  return new ConsiliumError("not-enough-data", "the source holds no image", {
    remedy:
      "check the path, that it is mounted, and `where`; `consilium-agent check-data` says what is left out and why",
  });
}
