import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import type { DataSettings } from "../data/data-settings.js";
import { openSource } from "../data/open-source.js";
import { Quarantine } from "../data/quarantine.js";
import type { ImageSource, SourceItem } from "../data/source.js";
import type { ViewMaker } from "../data/view-maker.js";
import type { CompiledProgram, Engine } from "../engine/program.js";
import { trainStepProgram } from "../engine/train-step.js";
import type { SslMethod } from "../ssl/method.js";
import { createMethod } from "../ssl/methods.js";
import type { CheckedJob } from "./protocol.js";

/** What a trainer needs from outside; the process brings threads and the compiled engine, tests bring their own. */
export interface TrainerParts {
  openEngine(options: { threads?: number }): Engine;
  openViewMaker(options: { config: RunConfig; settings: DataSettings; views: readonly string[] }): ViewMaker;
  /** Milliseconds; only differences count. */
  now(): number;
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
export function preparationKey({ runId, config, data, threads, siteId }: CheckedJob): string {
  return canonicalJson({ runId, config, data, threads, siteId });
}

/** @throws ConsiliumError "kernel-missing", "config-invalid", "input-unreadable", "not-enough-data" */
export async function prepareRun(job: CheckedJob, parts: TrainerParts): Promise<PreparedRun> {
  const { config, data: settings } = job;
  const layout = parameterLayout(config);
  const method = createMethod(config);
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
  { config, threads }: CheckedJob,
  { layout, method, parts }: { layout: ParameterLayout; method: SslMethod; parts: TrainerParts },
): Promise<CompiledProgram> {
  const { optimizer, training } = config;
  const engine = parts.openEngine(threads === undefined ? {} : { threads });
  return engine.compile(trainStepProgram({ method, layout, optimizer, batchSize: training.batchSize }));
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
