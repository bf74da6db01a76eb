import { describe, expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { type BatchOptions, batches } from "./batches.js";
import type { Slot } from "./epoch-order.js";
import { itemListOf } from "./index/item-list.js";
import { Quarantine } from "./quarantine.js";
import { type ImageSource, type SourceItem, UnreadableImage } from "./source.js";
import { type Augment, LocalViewMaker } from "./view-maker.js";
import type { View } from "./view-plan.js";

const listed = (count: number): SourceItem[] =>
  Array.from({ length: count }, (_, index) => ({ id: `${index}`, stamp: "1" }));

/** Every pixel of image i has the value i, so that a batch tells which images it holds. */
function countedSource(unreadable: readonly string[] = []) {
  const reads: string[] = [];
  const source: Pick<ImageSource, "read" | "close"> = {
    async read({ id }) {
      reads.push(id);
      if (unreadable.includes(id)) throw new UnreadableImage(id, "damaged");
      return { width: 1, height: 1, data: Uint8Array.of(Number(id), 0, 0) };
    },
    close: async () => {},
  };
  return { source, reads };
}

const views: readonly View[] = ["one", "second"].map((name) => ({ name, size: 1, channels: 3, kind: "pixels" }));

/** [image's number, a draw, the view's length of name] of each view. */
const augment: Augment = (image, randomOf) =>
  views.map(({ name }) => Uint8Array.of(image.data[0]!, randomOf(name).integer(256), name.length));

interface Made {
  options: BatchOptions;
  reads: string[];
  quarantine: Quarantine;
}

function make(count: number, over: Partial<BatchOptions> & { unreadable?: string[]; cacheBytes?: number } = {}): Made {
  const { unreadable = [], cacheBytes = 0, ...rest } = over;
  const items = itemListOf(listed(count));
  const { source, reads } = countedSource(unreadable);
  const quarantine = new Quarantine(0.5);
  quarantine.begin(items);
  const maker = new LocalViewMaker({ source, augment, cacheBytes, concurrency: 2 });
  const naming = { seed: 7, siteId: "a", batchSize: 4, firstBatch: 0, ahead: 1 };
  return { options: { items, maker, quarantine, views, ...naming, ...rest }, reads, quarantine };
}

async function take({ options }: Made, count: number): Promise<HostTensors[]> {
  const taken: HostTensors[] = [];
  for await (const batch of batches(options)) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

const images = (batch: HostTensors): number[] => [...batch["one"]!.data].filter((_, index) => index % 3 === 0);

describe("batches", () => {
  it("gives each view the batch's images with draws of its own", async () => {
    const [batch] = await take(make(12), 1);
    expect(batch!["one"]!.shape).toEqual([4, 1, 1, 3]);
    const [one, second] = [batch!["one"]!.data, batch!["second"]!.data];
    expect([one[0], one[2]]).toEqual([second[0], 3]);
    expect(second[2]).toBe(6);
    expect(one[1]).not.toBe(second[1]);
  });

  it("covers all images in an epoch and draws anew in the next", async () => {
    const taken = await take(make(12), 6);
    const [first, second] = [taken.slice(0, 3), taken.slice(3)];
    expect(new Set(first.flatMap(images)).size).toBe(12);
    expect(new Set(second.flatMap(images)).size).toBe(12);
    const draws = taken.flatMap((batch) => [...batch["one"]!.data].filter((_, index) => index % 3 === 1));
    // Some of 24 random bytes may be the same; two epochs of the same draws would be 12 at most.
    expect(new Set(draws).size).toBeGreaterThan(18);
  });

  it("goes on at any batch with the same bits", async () => {
    const through = await take(make(10), 7);
    const resumed = await take(make(10, { firstBatch: 4, ahead: 3, cacheBytes: 100 }), 3);
    expect(resumed).toEqual(through.slice(4));
  });

  it("wraps around when there are fewer images than a batch holds", async () => {
    const [batch] = await take(make(3), 1);
    expect(images(batch!).length).toBe(4);
    expect(new Set(images(batch!))).toEqual(new Set([0, 1, 2]));
  });

  it("replaces unreadable images alike, whether known before or not", async () => {
    const through = make(12, { unreadable: ["3", "8"] });
    const taken = await take(through, 6);
    expect(taken.flatMap(images)).not.toContain(3);
    expect(through.reads.filter((id) => id === "3")).toHaveLength(1);
    expect(through.quarantine.counts()).toEqual({ damaged: 2 });
    expect(await take(make(12, { unreadable: ["3", "8"], firstBatch: 3 }), 3)).toEqual(taken.slice(3));
  });

  it("fails when too many are unreadable", async () => {
    const unreadable = Array.from({ length: 9 }, (_, index) => `${index}`);
    await expect(take(make(12, { unreadable }), 3)).rejects.toMatchObject({ code: "not-enough-data" });
  });

  it("prepares only so many batches ahead", async () => {
    const made = make(100, { ahead: 2 });
    const generator = batches(made.options);
    await generator.next();
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    expect(made.reads).toHaveLength(3 * 4);
    await generator.return(undefined as never);
  });

  it("leaves a batch alone that was handed out", async () => {
    const held: HostTensors[] = [];
    const copies: HostTensors[] = [];
    for await (const batch of batches(make(100, { ahead: 2 }).options)) {
      held.push(batch);
      copies.push(structuredClone(batch));
      if (held.length === 9) break;
    }
    expect(held).toEqual(copies);
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    const generator = batches(make(100, { signal: stop.signal }).options);
    await generator.next();
    stop.abort();
    await expect(
      (async () => {
        for (;;) await generator.next();
      })(),
    ).rejects.toMatchObject({ name: "AbortedError" });
  });

  it("decodes once what stays in the cache", async () => {
    const made = make(8, { cacheBytes: 1000 });
    await take(made, 6);
    expect(made.reads).toHaveLength(8);
  });

  it("takes another order, whose items may come several times with draws of their own", async () => {
    const order = { epochLength: 4, mayRepeat: true, slot: orderSlot };
    const taken = await take(make(9, { order }), 3);
    expect(taken.map(images)).toEqual([
      [5, 5, 8, 8],
      [5, 5, 8, 8],
      [5, 5, 8, 8],
    ]);
    const draws = taken.flatMap((batch) => [...batch["one"]!.data].filter((_, index) => index % 3 === 1));
    expect(new Set(draws).size).toBeGreaterThan(9);
    expect(await take(make(9, { order, firstBatch: 2 }), 1)).toEqual(taken.slice(2));
    const substituted = await take(make(9, { order, unreadable: ["5"] }), 2);
    expect(substituted.map(images)).toEqual([
      [8, 8, 8, 8],
      [8, 8, 8, 8],
    ]);
  });

  it("ends when all of an order is unreadable, however little of the items it is", async () => {
    const order = { epochLength: 4, mayRepeat: true, slot: orderSlot };
    await expect(take(make(9, { order, unreadable: ["5", "8"] }), 1)).rejects.toMatchObject({
      code: "not-enough-data",
      message: expect.stringContaining("curation"),
    });
  });

  it("says how many batches lie ready, so that a slow source shows", async () => {
    const asked: number[] = [];
    const { options } = make(12, { ahead: 2, onAsked: ({ ready }) => asked.push(ready) });
    for await (const _batch of batches(options)) {
      if (asked.length === 4) break;
      // The batches ahead need no thread here, only that this one lets them.
      await new Promise((resume) => setTimeout(resume, 50));
    }
    expect(asked).toEqual([0, 2, 2, 2]);
  });
});

/** Items 5 and 8, twice each in every epoch. */
function orderSlot(place: number): Slot {
  const position = place % 4;
  return { epoch: Math.floor(place / 4), position, index: position < 2 ? 5 : 8 };
}
