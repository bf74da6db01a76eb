import { orAborted } from "@consilium/shared/abort.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { DrawSeed } from "@consilium/shared/random.js";
import type { HostTensors } from "../model/tensors.js";
import { BatchMemory, type BatchViews } from "./batch-memory.js";
import { EpochOrder, type ItemOrder, type Slot } from "./epoch-order.js";
import type { ItemList } from "./index/item-list.js";
import type { Quarantine } from "./quarantine.js";
import { UnreadableImage } from "./source.js";
import type { BatchRow, ViewMaker } from "./view-maker.js";
import type { View } from "./view-plan.js";

export interface BatchOptions {
  readonly items: ItemList;
  /** Of the items; absent: each once in an epoch. */
  readonly order?: ItemOrder;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  readonly views: readonly View[];
  readonly seed: DrawSeed;
  readonly siteId: string;
  readonly batchSize: number;
  /** Batches are numbered from 0 over a site's whole run; any of them can be made without those before it. */
  readonly firstBatch: number;
  /** Batches that are asked for before the caller gets one, and so are made while it works on that one. */
  readonly ahead: number;
  readonly signal?: AbortSignal;
  /** Told whenever a batch is asked for. */
  readonly onAsked?: (queue: BatchQueue) => void;
}

/** How the making of batches keeps up with who takes them. */
export interface BatchQueue {
  /** Batches that are complete, of `ahead` + 1 at most. None: the caller waits for images. */
  readonly ready: number;
}

/**
 * An endless sequence of batches, each view uint8 [batchSize, size, size, channels]. What a batch holds depends
 * only on its number, (seed, site), the items, and which of them are readable.
 *
 * The requests for the batches ahead have all been made when a batch is handed out, so that a view maker with threads
 * works on while the caller blocks its own. Only the substitute of an image that turns out unreadable has to wait.
 * @throws ConsiliumError "not-enough-data" when too many images are unreadable, AbortedError
 */
export async function* batches(options: BatchOptions): AsyncGenerator<HostTensors, never, void> {
  const factory = new BatchFactory(options);
  const prepared: Promise<HostTensors>[] = [];
  let ready = 0;
  const counted = async (batch: Promise<HostTensors>): Promise<HostTensors> => {
    const made = await batch;
    ready++;
    return made;
  };
  for (let next = options.firstBatch; ; ) {
    while (prepared.length <= options.ahead) prepared.push(quietly(counted(factory.make(next++))));
    options.onAsked?.({ ready });
    // Interruptible, because storage may be slow.
    const batch = await orAborted(prepared.shift()!, options.signal);
    ready--;
    yield batch;
  }
}

/** Lets a promise fail without anybody listening: nobody comes for a batch that was prepared ahead and is not needed. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** An image whose views were written. */
interface Written {
  /** Present when they were the last of the batch. */
  readonly batch: BatchViews | undefined;
}

class BatchFactory {
  readonly #options: BatchOptions;
  readonly #order: ItemOrder;
  readonly #idle: BatchMemory[] = [];

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#order = options.order ?? new EpochOrder({ ...options, items: options.items.length });
  }

  /** Every request is made before the call returns. */
  async make(batch: number): Promise<HostTensors> {
    const { batchSize, views } = this.#options;
    const memory = this.#memory();
    const rows = Array.from({ length: batchSize }, (_, row) => this.#write(batch * batchSize + row, { memory, row }));
    const arrays = (await Promise.all(rows)).find((written) => written.batch !== undefined)?.batch;
    if (arrays === undefined) throw new ConsiliumError("internal", `batch ${batch} was not completed`);
    // A batch that fails leaves its memory to writers that may still come.
    this.#idle.push(memory);
    return Object.fromEntries(
      views.map(({ name, size, channels }, index) => {
        return [name, { shape: [batchSize, size, size, channels], data: arrays[index]! }];
      }),
    );
  }

  #memory(): BatchMemory {
    const { batchSize, views } = this.#options;
    const viewBytes = views.map(({ size, channels }) => size * size * channels);
    const memory = this.#idle.pop() ?? new BatchMemory({ batchSize, viewBytes });
    memory.clear();
    return memory;
  }

  /**
   * Views of the image at a place of the order; when it is unreadable, of the next readable one a batch further on.
   * The rule needs no memory of earlier batches, so that an interrupted round goes on with the same batches.
   */
  async #write(place: number, target: BatchRow): Promise<Written> {
    const { epochLength } = this.#order;
    const slot = this.#order.slot(place);
    const own = await this.#tryItem(slot, slot, target);
    if (own !== undefined) return own;
    for (let distance = 0; distance < epochLength; distance++) {
      const position = (slot.position + this.#options.batchSize + distance) % epochLength;
      const other = this.#order.slot(slot.epoch * epochLength + position);
      const written = await this.#tryItem(other, slot, target);
      if (written !== undefined) return written;
    }
    throw noneReadable();
  }

  /** @param slot whose randomness is used, so that a substitute differs from the same image in its own place */
  async #tryItem({ index }: Slot, slot: Slot, target: BatchRow): Promise<Written | undefined> {
    const { items, maker, quarantine, seed, siteId, signal } = this.#options;
    if (signal?.aborted) throw new AbortedError();
    const item = items.at(index);
    if (quarantine.holds(item)) return undefined;
    try {
      const randomName = [seed, siteId, slot.epoch, items.at(slot.index).id, ...this.#repeatOf(slot)];
      const batch = await maker.make({ item, randomName }, target);
      quarantine.noteReadable();
      return { batch };
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
      quarantine.add(item, thrown.reason);
      return undefined;
    }
  }

  /** What tells the places of an item apart that comes several times in an epoch. */
  #repeatOf({ position }: Slot): number[] {
    return this.#order.mayRepeat ? [position] : [];
  }
}

/** An order that draws from a part of the items may hold unreadable ones only, though most can be read. */
function noneReadable(): ConsiliumError {
  return new ConsiliumError("not-enough-data", "of the images that curation draws from, none can be read", {
    remedy: "replace the unreadable files, or change data.curation in site.yaml and its clusters file",
  });
}
