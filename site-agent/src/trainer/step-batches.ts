import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { type DrawSeed, randomFor } from "@consilium/shared/random.js";
import { type BatchQueue, batches } from "../data/batches.js";
import type { ItemList } from "../data/index/item-list.js";
import { patientBatches } from "../data/patient-batches.js";
import type { HostTensors } from "../model/tensors.js";
import type { PreparedRun } from "./prepared-run.js";

export interface StepBatchOptions {
  readonly run: PreparedRun;
  readonly items: ItemList;
  readonly config: RunConfig;
  readonly siteId: string;
  readonly drawSeed: DrawSeed;
  /** Number of the first batch over the site's whole run. */
  readonly first: number;
  readonly onAsked: (queue: BatchQueue) => void;
  readonly signal?: AbortSignal;
}

/** Batches that are prepared while a step runs. */
const batchesAhead = 2;

/** What each of a round's steps is taken with: views, and what the method draws itself. */
export async function* stepBatches(options: StepBatchOptions): AsyncGenerator<HostTensors, void, void> {
  const { run, siteId, drawSeed } = options;
  const { method } = run.step.shape;
  let batch = options.first;
  for await (const named of await viewsOf(options)) {
    const random = randomFor(drawSeed, siteId, "step", batch++);
    const images = named[method.views[0]!.name]!.shape[0]!;
    yield images === 0 ? named : { ...named, ...method.drawExtraInputs(images, random) };
  }
}

async function viewsOf(options: StepBatchOptions): Promise<AsyncIterable<HostTensors>> {
  const { run, items, config, siteId, drawSeed: seed, first, signal, onAsked } = options;
  const { maker, quarantine, drawing } = run;
  const shared = {
    ...{ items, maker, quarantine, seed, siteId, views: run.step.shape.method.views, ahead: batchesAhead },
    ...(signal === undefined ? {} : { signal }),
  };
  if (drawing !== undefined) {
    return patientBatches({ ...shared, ...drawing, patients: drawing.patientsOf(items), firstStep: first });
  }
  const order = await run.orderOf(items, { seed, siteId });
  return batches({ ...shared, order, batchSize: config.training.batchSize, firstBatch: first, onAsked });
}
