import { canonicalJson } from "@consilium/shared/canonical-json.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { OpenedEngine } from "../engine/devices/device.js";
import type { CompiledProgram } from "../engine/program.js";
import type { TrainStepOptions } from "../engine/train-step.js";
import type { TrainerParts } from "./prepared-run.js";
import type { CheckedJob } from "./protocol.js";

/** Tells once what a run is trained on. */
export function tellPrepared(
  { runId }: Pick<CheckedJob, "runId">,
  { device, precision, reason }: OpenedEngine,
  { parts, step, startedAt }: { parts: TrainerParts; step: CompiledProgram; startedAt: number },
): void {
  const { cache = "off", compileMs = parts.now() - startedAt, notKept } = step.report ?? {};
  const origin = { cache, compileMs, ...(notKept === undefined ? {} : { notKept }) };
  parts.onPrepared?.({ runId, device, precision, reason, ...origin });
}

/** Everything of a run but what surely leaves its step as it is: what is new in a configuration counts until it is here. */
export function stepDescription(
  config: RunConfig,
  { layout }: Pick<TrainStepOptions, "layout">,
  chosen: Readonly<Record<string, unknown>>,
): string {
  const { name: _name, seed: _seed, cohort: _cohort, deadlines: _deadlines, ...deciding } = config;
  const { rounds: _rounds, aggregation: _aggregation, monitor: _monitor, ...step } = deciding;
  return canonicalJson({ step, chosen, layout: Buffer.from(layout.digest).toString("hex") });
}
