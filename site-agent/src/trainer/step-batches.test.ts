import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import type { DrawSeed } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { orderOf } from "../data/curation/curated-order.js";
import { itemListOf } from "../data/index/item-list.js";
import { Quarantine } from "../data/quarantine.js";
import { LocalViewMaker } from "../data/view-maker.js";
import { quadratic, quadraticLayout } from "../engine/testing/quadratic.js";
import type { StateShape } from "../engine/training-state.js";
import type { HostTensors } from "../model/tensors.js";
import type { SslMethod } from "../ssl/method.js";
import type { PreparedRun } from "./prepared-run.js";
import { stepBatches } from "./step-batches.js";

const config = runConfigSchema.parse({
  ...{ name: "run", modality: "dermatology", rounds: 1, method: { name: "simclr" } },
  model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
  optimizer: { learningRate: 0.001 },
  training: { batchSize: 8, stepsPerRound: 4 },
});
const items = itemListOf(Array.from({ length: 64 }, (_, index) => ({ id: `${index}`, stamp: "1" })));

/** Views of one pixel each: the image's number, and a draw of the view. The method draws a number for each image. */
function preparedRun(): PreparedRun {
  const maker = new LocalViewMaker({
    source: {
      read: async ({ id }) => ({ width: 1, height: 1, data: Uint8Array.of(Number(id)) }),
      close: async () => {},
    },
    augment: (image, randomOf) => [Uint8Array.of(image.data[0]!, randomOf("one").integer(256), 0)],
    ...{ cacheBytes: 0, concurrency: 1 },
  });
  const method: SslMethod = {
    ...quadratic,
    views: [{ name: "one", size: 1, channels: 3, kind: "pixels" }],
    drawExtraInputs: (images, random) => ({
      mask: { shape: [images], data: Float32Array.from({ length: images }, () => random.integer(256)) },
    }),
  };
  const quarantine = new Quarantine(0.5);
  quarantine.begin(items);
  const shape: StateShape = { method, layout: quadraticLayout, optimizer: config.optimizer };
  const start = () => Promise.reject(new Error("no step is taken here"));
  const step = { shape, stepsPerCall: 1, partImages: 8, start, release: async () => {} };
  return {
    ...{ key: "run", step, maker, quarantine, list: async () => items, close: async () => {} },
    orderOf: (list, naming) => orderOf({ items: list, curation: undefined, ...naming }),
  };
}

async function draws(drawSeed: DrawSeed, first = 0): Promise<{ order: number[]; views: number[]; masks: number[] }> {
  const batches: HostTensors[] = [];
  const options = { run: preparedRun(), items, config, siteId: "a", drawSeed, first, onAsked: () => {} };
  for await (const batch of stepBatches(options)) {
    batches.push(batch);
    if (batches.length === 2) break;
  }
  const bytes = batches.flatMap((batch) => [...batch["one"]!.data]);
  return {
    order: bytes.filter((_, index) => index % 3 === 0),
    views: bytes.filter((_, index) => index % 3 === 1),
    masks: batches.flatMap((batch) => [...batch["mask"]!.data]),
  };
}

describe("stepBatches", () => {
  it("draws order, views and what the method draws from the draw seed, the same again from the same", async () => {
    const [one, again] = [await draws("5a".repeat(32)), await draws("5a".repeat(32))];
    expect(again).toEqual(one);
    const other = await draws("5b".repeat(32));
    for (const kind of ["order", "views", "masks"] as const) expect(other[kind]).not.toEqual(one[kind]);
    // Not the same draws for other images: by image too, two runs have hardly a view in common.
    const viewOf = (drawn: typeof one, image: number) => drawn.views[drawn.order.indexOf(image)];
    const shared = one.order.filter((image) => other.order.includes(image));
    const alike = shared.filter((image) => viewOf(one, image) === viewOf(other, image));
    expect(alike.length).toBeLessThanOrEqual(1);
  });

  it("goes on in the middle with the same draws", async () => {
    const [one, from] = [await draws("5a".repeat(32)), await draws("5a".repeat(32), 1)];
    for (const kind of ["order", "views", "masks"] as const) expect(from[kind].slice(0, 8)).toEqual(one[kind].slice(8));
  });
});
