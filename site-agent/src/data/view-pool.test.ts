import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAugmenter } from "./augment/augment.js";
import { batches } from "./batches.js";
import { dataSettingsSchema } from "./data-settings.js";
import { type ItemList, itemListOf } from "./index/item-list.js";
import { listItems } from "./list-items.js";
import { openSource } from "./open-source.js";
import { Quarantine } from "./quarantine.js";
import { putPatterns } from "./test-images.js";
import { LocalViewMaker, type ViewMaker } from "./view-maker.js";
import { viewPlan } from "./view-plan.js";
import { ViewPool } from "./view-pool.js";

/** The real thread, from the build: `npm test` builds first. */
const threadPath = fileURLToPath(new URL("../../dist/data/view-thread.js", import.meta.url));

const config = runConfigSchema.parse({
  name: "pool",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
  method: { name: "simclr" },
  optimizer: { learningRate: 1e-3 },
  rounds: 1,
});
const views = viewPlan(config);
const batchSize = 8;

let root: string;
let answersPath: string;
let threadEntry: URL;

beforeAll(async () => {
  if (!existsSync(threadPath)) throw new Error("run `npm run build` first: this test starts the built threads");
  root = await mkdtemp(join(tmpdir(), "view-pool-"));
  await putPatterns(join(root, "images"), 40);
  answersPath = join(root, "answers");
  await writeFile(answersPath, "");
  threadEntry = await countingEntry();
});
afterAll(() => rm(root, { recursive: true }));

/** The real thread, which also leaves a byte in a file for every answer: a blocked thread can look at that. */
async function countingEntry(): Promise<URL> {
  const path = join(root, "counting-thread.mjs");
  await writeFile(
    path,
    `import { appendFileSync } from "node:fs";
    import { parentPort } from "node:worker_threads";
    const post = parentPort.postMessage.bind(parentPort);
    parentPort.postMessage = (message, transfer) => {
      post(message, transfer);
      appendFileSync(${JSON.stringify(answersPath)}, ".");
    };
    await import(${JSON.stringify(pathToFileURL(threadPath).href)});`,
  );
  return pathToFileURL(path);
}

/** As a training step does, but until the threads have answered so often. */
function blockUntilAnswered(count: number): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + 20_000;
  while (statSync(answersPath).size < count && performance.now() < deadline) Atomics.wait(never, 0, 0, 5);
}

interface Opened {
  readonly maker: ViewMaker;
  readonly items: ItemList;
  readonly quarantine: Quarantine;
}

async function open(kind: "threads" | "here"): Promise<Opened> {
  const settings = dataSettingsSchema.parse({ path: join(root, "images"), concurrency: 2 });
  const source = openSource({ settings, imageSize: 32 });
  const items = itemListOf(await listItems(source));
  const quarantine = new Quarantine(0.5);
  quarantine.begin(items);
  const local = { source, augment: createAugmenter(config), cacheBytes: 0, concurrency: 2 };
  const maker = kind === "here" ? new LocalViewMaker(local) : new ViewPool({ config, settings, threadEntry });
  return { maker, items, quarantine };
}

/** Counts requests, and those that have no answer yet. */
function counted(maker: ViewMaker): ViewMaker & { requests: number; open: number } {
  return {
    requests: 0,
    open: 0,
    forget: (fileIds) => maker.forget(fileIds),
    make(request, target) {
      this.requests++;
      this.open++;
      return maker.make(request, target).finally(() => this.open--);
    },
    close: () => maker.close(),
  };
}

const optionsOf = ({ maker, items, quarantine }: Opened, ahead: number) => ({
  ...{ maker, items, quarantine, views, batchSize, ahead, seed: 3, siteId: "a", firstBatch: 0 },
});

describe("ViewPool", () => {
  it("makes the next batches while the thread that waits for them is blocked", async () => {
    const opened = await open("threads");
    const maker = counted(opened.maker);
    const ahead = 2;
    const generator = batches(optionsOf({ ...opened, maker }, ahead));
    const first = generator.next();
    const posted = batchSize * (1 + ahead);
    expect([maker.requests, maker.open]).toEqual([posted, posted]);
    blockUntilAnswered(posted);
    // One turn takes in what the threads have sent; nothing more is asked for.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect([maker.requests, maker.open]).toEqual([posted, 0]);
    await first;
    const next = await generator.next();
    expect(next.value["view1"]!.data).toHaveLength(batchSize * 32 * 32 * 3);
    await maker.close();
  }, 60_000);

  it("gives the bytes that one thread gives", async () => {
    const [pool, here] = [await open("threads"), await open("here")];
    const [ofPool, ofHere] = [batches(optionsOf(pool, 1)), batches(optionsOf(here, 0))];
    for (let batch = 0; batch < 7; batch++) {
      expect((await ofPool.next()).value).toEqual((await ofHere.next()).value);
    }
    await Promise.all([pool.maker.close(), here.maker.close()]);
  }, 60_000);
});
