import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import type { DataSettings } from "../data/data-settings.js";
import { openSource } from "../data/open-source.js";
import { Quarantine } from "../data/quarantine.js";
import type { ImageSource, SourceItem } from "../data/source.js";
import type { ViewMaker } from "../data/view-maker.js";
import type { OpenedEngine } from "../engine/devices/device.js";
import type { OpenRequest } from "../engine/devices/device-drivers.js";
import type { CompiledProgram } from "../engine/program.js";
import { recomputing } from "../engine/recompute.js";
import { trainStepProgram } from "../engine/train-step.js";
import type { SslMethod } from "../ssl/method.js";
import { createMethod } from "../ssl/methods.js";
import type { CheckedJob, Prepared } from "./protocol.js";

/** What a trainer needs from outside; the process brings threads and the site's devices, tests bring their own. */
export interface TrainerParts {
  /** @throws ConsiliumError "config-invalid" when the device that is asked for cannot be had */
  openEngine(request: OpenRequest): Promise<OpenedEngine>;
  openViewMaker(options: { config: RunConfig; settings: DataSettings; views: readonly string[] }): ViewMaker;
  /** Milliseconds; only differences count. */
  now(): number;
  /** Told once for each run, when its step can be taken. */
  onPrepared?(prepared: Prepared): void;
}

/** What stays between the rounds of a run: the compiled step, the decoded images, the list of unreadable ones. */
export interface PreparedRun {
  readonly key: string;
  readonly layout: ParameterLayout;
  readonly method: SslMethod;
  readonly step: CompiledProgram;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
  /** Looks again what is there. */
  list(): Promise<readonly SourceItem[]>;
  close(): Promise<void>;
}

/** Rounds with the same key can share a prepared run. */
export function preparationKey({ runId, config, data, threads, engine, siteId }: CheckedJob): string {
  return canonicalJson({ runId, config, data, threads, engine, siteId });
}

/** @throws ConsiliumError "kernel-missing", "config-invalid", "input-unreadable", "not-enough-data" */
export async function prepareRun(job: CheckedJob, parts: TrainerParts): Promise<PreparedRun> {
  const { config, data: settings } = job;
  const layout = parameterLayout(config);
  const plain = createMethod(config);
  const method = config.training.recompute ? recomputing(plain) : plain;
  const source = openSource({ settings, imageSize: config.model.imageSize });
  // Before the step is compiled, which takes seconds: a wrong path shows at once.
  await source.list();
  const step = await compileStep(job, { layout, method, parts });
  const maker = parts.openViewMaker({ config, settings, views: method.viewPlan.views });
  const quarantine = new Quarantine(settings.maxUnreadableShare);
  return {
    key: preparationKey(job),
    layout,
    method,
    step,
    maker,
    quarantine,
    list: () => listed({ source, maker, quarantine }),
    async close() {
      await Promise.all([step.release(), maker.close(), source.close()]);
    },
  };
}

async function compileStep(
  job: CheckedJob,
  { layout, method, parts }: { layout: ParameterLayout; method: SslMethod; parts: TrainerParts },
): Promise<CompiledProgram> {
  const { optimizer, training } = job.config;
  const { engine, device, precision, reason } = await parts.openEngine(engineRequest(job));
  const startedAt = parts.now();
  const description = stepDescription(job.config, layout);
  const program = trainStepProgram({ method, layout, optimizer, batchSize: training.batchSize });
  const step = await engine.compile({ ...program, description });
  const { cache = "off", compileMs = parts.now() - startedAt, notKept } = step.report ?? {};
  const origin = { cache, compileMs, ...(notKept === undefined ? {} : { notKept }) };
  parts.onPrepared?.({ runId: job.runId, device, precision, reason, ...origin });
  return step;
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
function stepDescription(config: RunConfig, layout: ParameterLayout): string {
  const { name: _name, seed: _seed, cohort: _cohort, deadlines: _deadlines, ...deciding } = config;
  const { rounds: _rounds, aggregation: _aggregation, ...step } = deciding;
  return canonicalJson({ step, layout: Buffer.from(layout.digest).toString("hex") });
}

interface Listed {
  readonly source: ImageSource;
  readonly maker: ViewMaker;
  readonly quarantine: Quarantine;
}

async function listed({ source, maker, quarantine }: Listed): Promise<readonly SourceItem[]> {
  const items = await source.list();
  maker.begin(items);
  quarantine.begin(items);
  return items;
}
