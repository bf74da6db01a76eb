import { orAborted } from "@consilium/shared/abort.js";
import { AbortedError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../model/tensors.js";
import { EpochOrder, type Slot } from "./epoch-order.js";
import type { Quarantine } from "./quarantine.js";
import { type SourceItem, UnreadableImage } from "./source.js";
import type { ViewMaker } from "./view-maker.js";

export interface BatchOptions {
  readonly items: readonly SourceItem[];
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  readonly views: readonly string[];
  readonly imageSize: number;
  readonly seed: number;
  readonly siteId: string;
  readonly batchSize: number;
  /** Batches are numbered from 0 over a site's whole run; any of them can be made without those before it. */
  readonly firstBatch: number;
  /** Batches that are prepared while the caller works on one. */
  readonly ahead: number;
  readonly signal?: AbortSignal;
}

/**
 * An endless sequence of batches, each view float32 [batchSize, imageSize, imageSize, 3]. What a batch holds depends
 * only on its number, (seed, site), the items, and which of them are readable.
 * @throws ConsiliumError "not-enough-data" when too many images are unreadable, AbortedError
 */
export async function* batches(options: BatchOptions): AsyncGenerator<HostTensors, never, void> {
  const factory = new BatchFactory(options);
  const prepared: Promise<HostTensors>[] = [];
  for (let next = options.firstBatch; ; ) {
    while (prepared.length <= options.ahead) prepared.push(quietly(factory.make(next++)));
    // Interruptible, because storage may be slow.
    yield await orAborted(prepared.shift()!, options.signal);
  }
}

/** Lets a promise fail without anybody listening: nobody comes for a batch that was prepared ahead and is not needed. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

class BatchFactory {
  readonly #options: BatchOptions;
  readonly #order: EpochOrder;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#order = new EpochOrder({ ...options, items: options.items.length });
  }

  async make(batch: number): Promise<HostTensors> {
    const { batchSize, views, imageSize } = this.#options;
    const viewSize = imageSize * imageSize * 3;
    const arrays = views.map(() => new Float32Array(batchSize * viewSize));
    const fill = async (row: number): Promise<void> => {
      const made = await this.#views(batch * batchSize + row);
      for (const [index, array] of arrays.entries()) array.set(made[index]!, row * viewSize);
    };
    await Promise.all(Array.from({ length: batchSize }, (_, row) => fill(row)));
    const shape = [batchSize, imageSize, imageSize, 3];
    return Object.fromEntries(views.map((view, index) => [view, { shape, data: arrays[index]! }]));
  }

  /**
   * Views of the image at a place of the order; when it is unreadable, of the next readable one a batch further on.
   * The rule needs no memory of earlier batches, so that an interrupted round goes on with the same batches.
   */
  async #views(place: number): Promise<readonly Float32Array[]> {
    const { items, batchSize } = this.#options;
    const slot = this.#order.slot(place);
    const own = await this.#tryItem(slot, slot);
    if (own !== undefined) return own;
    for (let distance = 0; ; distance++) {
      const position = (slot.position + batchSize + distance) % items.length;
      const other = this.#order.slot(slot.epoch * items.length + position);
      const made = await this.#tryItem(other, slot);
      if (made !== undefined) return made;
    }
  }

  /** @param slot whose randomness is used, so that a substitute differs from the same image in its own place */
  async #tryItem({ index }: Slot, slot: Slot): Promise<readonly Float32Array[] | undefined> {
    const { items, maker, quarantine, seed, siteId, signal } = this.#options;
    if (signal?.aborted) throw new AbortedError();
    const item = items[index]!;
    if (quarantine.holds(item)) return undefined;
    try {
      const randomName = [seed, siteId, slot.epoch, items[slot.index]!.id];
      const made = await maker.make({ item, randomName });
      quarantine.noteReadable();
      return made;
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
      quarantine.add(item, thrown.reason);
      return undefined;
    }
  }
}
