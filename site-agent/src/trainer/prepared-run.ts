import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import type { DrawSeed } from "@consilium/shared/random.js";
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
import { type CompiledStep, compileStep } from "./compiled-step.js";
import { type PatientDrawing, patientDrawing } from "./private-step.js";
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
  /** Draws patients and noise of private runs. */
  readonly entropy: Entropy;
  /** Told once for each run, when its step can be taken. */
  onPrepared?(prepared: Prepared): void;
}

/** What stays between the rounds of a run: the compiled step, the decoded images, the list of unreadable ones. */
export interface PreparedRun {
  readonly key: string;
  readonly step: CompiledStep;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  /** Looks again what is there. */
  list(): Promise<ItemList>;
  /** In which order the site draws from the items. */
  orderOf(items: ItemList, naming: { readonly seed: DrawSeed; readonly siteId: string }): Promise<ItemOrder>;
  /** Present where steps draw patients instead. */
  readonly drawing?: PatientDrawing;
  close(): Promise<void>;
}

/** Rounds with the same key can share a prepared run. */
export function preparationKey({ runId, config, data, threads, engine, siteId, privacy }: CheckedJob): string {
  const charged = privacy === undefined ? {} : { privacy };
  return canonicalJson({ runId, config, data, threads, engine, siteId, ...charged });
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
  const step = await compiled.catch(async (thrown: unknown) => {
    index.close();
    await source.close();
    throw thrown;
  });
  const maker = parts.openViewMaker({ config, settings });
  const quarantine = new Quarantine(settings.maxUnreadableShare);
  return {
    key: preparationKey(job),
    step,
    maker,
    quarantine,
    async list() {
      maker.forget(await look());
      const items = index.list();
      quarantine.begin(items);
      return items;
    },
    ...(job.privacy === undefined ? {} : { drawing: patientDrawing(job, step, parts) }),
    orderOf: (items, naming) => orderOf({ items, curation: settings.curation, ...naming }),
    async close() {
      await Promise.all([step.release(), maker.close(), source.close()]);
      index.close();
    },
  };
}
