import type { CompileReport } from "../compile-report.js";
import type { CompiledModel } from "../compiled-model.js";
import { type CacheRequest, cachedModel } from "../program-cache.js";

export interface OpenedModel<Session> {
  readonly outputs: CompiledModel["outputs"];
  readonly session: Session;
  readonly report: CompileReport;
}

/** A program's model, from the cache where it is there, with its session. */
export async function openModel<Session>(
  request: CacheRequest,
  open: (model: CompiledModel) => Promise<Session>,
): Promise<OpenedModel<Session>> {
  const startedAt = performance.now();
  const model = await cachedModel(request);
  const session = await open(model);
  const { outputs, peakBytes, cache, notKept } = model;
  const report: CompileReport = {
    program: request.program.name,
    cache,
    traced: cache !== "hit",
    peakBytes,
    compileMs: performance.now() - startedAt,
    ...(notKept === undefined ? {} : { notKept }),
  };
  return { outputs, session, report };
}
