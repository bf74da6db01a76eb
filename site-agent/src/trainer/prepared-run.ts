import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { orderOf } from "../data/curation/curated-order.js";
import type { DataSettings } from "../data/data-settings.js";
import type { ItemOrder } from "../data/epoch-order.js";
import { ItemIndex, indexPurpose } from "../data/index/item-index.js";
import type { ItemList } from "../data/index/item-list.js";
import { ListingPace } from "../data/index/listing-pace.js";
import { scan } from "../data/index/scan.js";
import { openSource } from "../data/open-source.js";
import { Quarantine } from "../data/quarantine.js";
import type { ViewMaker } from "../data/view-maker.js";
import type { OpenedEngine } from "../engine/devices/device.js";
import type { OpenRequest } from "../engine/devices/device-drivers.js";
import { availableMemory, readMemory } from "../engine/memory/available-memory.js";
import { checkMemory } from "../engine/memory/check-memory.js";
import type { CompiledProgram } from "../engine/program.js";
import { callSize, runStep, stepCalls } from "../engine/run-step.js";
import type { StepCalls } from "../engine/steps-per-call.js";
import { type TrainStepOptions, trainStepProgram } from "../engine/train-step.js";
import type { StateShape } from "../engine/training-state.js";
import type { CheckedJob, Prepared } from "./protocol.js";

/** What a trainer needs from outside; the process brings threads and the site's devices, tests bring their own. */
export interface TrainerParts {
  /** @throws ConsiliumError "config-invalid" when the device that is asked for cannot be had */
  openEngine(request: OpenRequest): Promise<OpenedEngine>;
  openViewMaker(options: { config: RunConfig; settings: DataSettings }): ViewMaker;
  /** Milliseconds; only differences count. */
  now(): number;
  /** Bytes that a step may take on the processor; absent: what this process may still allocate. */
  availableMemory?(): number;
  /** Told once for each run, when its step can be taken. */
  onPrepared?(prepared: Prepared): void;
}

/** What stays between the rounds of a run: the compiled step, the decoded images, the list of unreadable ones. */
export interface PreparedRun {
  readonly key: string;
  /** What decides which vectors the training state has: layout, method, optimiser. */
  readonly shape: StateShape;
  readonly step: CompiledProgram;
  /** How many steps one run of the program takes, and how. */
  readonly calls: StepCalls;
  /** Images that go through the model together: the batch, or one of its equal parts. */
  readonly partImages: number;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  /** Looks again what is there. */
  list(): Promise<ItemList>;
  /** In which order the site draws from the items. */
  orderOf(items: ItemList, naming: { readonly seed: number; readonly siteId: string }): Promise<ItemOrder>;
  close(): Promise<void>;
}

/** Rounds with the same key can share a prepared run. */
export function preparationKey({ runId, config, data, threads, engine, siteId }: CheckedJob): string {
  return canonicalJson({ runId, config, data, threads, engine, siteId });
}

/** @throws ConsiliumError "kernel-missing", "config-invalid", "input-unreadable", "not-enough-data" */
export async function prepareRun(job: CheckedJob, parts: TrainerParts): Promise<PreparedRun> {
  const { config, data: settings } = job;
  const source = openSource({ settings, imageSize: config.model.imageSize });
  const index = new ItemIndex(settings.indexPath ?? ":memory:", indexPurpose(settings));
  const pace = new ListingPace(() => parts.now());
  /** @returns ids of files whose images have changed or are gone */
  const look = async (): Promise<readonly string[]> => {
    if (!pace.isDue) return [];
    return (await pace.pace(() => scan({ source, index, concurrency: settings.concurrency }))).stale;
  };
  // A wrong path shows at once, not after the seconds that compiling takes.
  const compiled = look().then(() => compileStep(job, parts));
  const { step, shape, calls, partImages } = await compiled.catch(async (thrown: unknown) => {
    index.close();
    await source.close();
    throw thrown;
  });
  const maker = parts.openViewMaker({ config, settings });
  const quarantine = new Quarantine(settings.maxUnreadableShare);
  return {
    key: preparationKey(job),
    shape,
    step,
    calls,
    partImages,
    maker,
    quarantine,
    async list() {
      maker.forget(await look());
      const items = index.list();
      quarantine.begin(items);
      return items;
    },
    orderOf: (items, naming) => orderOf({ items, curation: settings.curation, ...naming }),
    async close() {
      await Promise.all([step.release(), maker.close(), source.close()]);
      index.close();
    },
  };
}

async function compileStep(
  job: CheckedJob,
  parts: TrainerParts,
): Promise<Pick<PreparedRun, "step" | "shape" | "calls" | "partImages">> {
  const { config } = job;
  const opened = await parts.openEngine(engineRequest(job));
  const { engine, device, precision, reason } = opened;
  const startedAt = parts.now();
  const options = runStep(config, opened);
  const { program, ...calls } = stepCalls(options, callSize(device, config.training.stepsPerRound));
  const description = stepDescription(config, { options, count: calls.count });
  const step = await engine.compile({ ...program, description });
  if (device === "cpu") await checkFits(step, { options, config, available: parts.availableMemory?.() });
  const { cache = "off", compileMs = parts.now() - startedAt, notKept } = step.report ?? {};
  const origin = { cache, compileMs, ...(notKept === undefined ? {} : { notKept }) };
  parts.onPrepared?.({ runId: job.runId, device, precision, reason, ...origin });
  return { step, shape: options, calls, partImages: options.batchSize / options.microBatches };
}

interface Fitting {
  readonly options: TrainStepOptions;
  readonly config: RunConfig;
  readonly available: number | undefined;
}

/** @throws ConsiliumError "out-of-memory" with the batch size that would fit */
async function checkFits(step: CompiledProgram, { options, config, available }: Fitting): Promise<void> {
  const there = available ?? availableMemory(readMemory());
  if ((step.report?.peakBytes ?? 0) <= there) return;
  const { batchSize, method, microBatches = 1 } = options;
  try {
    checkMemory({
      programFor: (size) => trainStepProgram({ ...options, batchSize: size }),
      ...{ batchSize, microBatches, recompute: config.training.recompute, separable: method.separable },
      ...{ passes: { products: "fused" }, available: there },
    });
  } catch (thrown) {
    await step.release();
    throw thrown;
  }
}

function engineRequest({ threads, engine }: CheckedJob): OpenRequest {
  const { device, precision, cacheDirectory, tensorflowDirectory } = engine;
  return {
    device,
    precision,
    ...(threads === undefined ? {} : { threads }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
    ...(tensorflowDirectory === undefined ? {} : { tensorflowDirectory }),
  };
}

/** Everything of a run but what surely leaves its step as it is: what is new in a configuration counts until it is here. */
function stepDescription(config: RunConfig, { options, count }: { options: TrainStepOptions; count: number }): string {
  const { name: _name, seed: _seed, cohort: _cohort, deadlines: _deadlines, ...deciding } = config;
  const { rounds: _rounds, aggregation: _aggregation, monitor: _monitor, ...step } = deciding;
  const { layout, microBatches, lossScaling } = options;
  const chosen = { count, microBatches: microBatches ?? 1, lossScaling: lossScaling ?? false };
  return canonicalJson({ step, chosen, layout: Buffer.from(layout.digest).toString("hex") });
}
