import type { CompileReport } from "../compile-report.js";
import type { CompiledModel } from "../compiled-model.js";
import { type CachedModel, type CacheRequest, cachedModel, forgetModel } from "../program-cache.js";

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
  const { model, session } = await opened(request, open);
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

/** A kept model that the runtime refuses is removed and compiled anew. */
async function opened<Session>(
  request: CacheRequest,
  open: (model: CompiledModel) => Promise<Session>,
): Promise<{ model: CachedModel; session: Session }> {
  const model = await cachedModel(request);
  try {
    return { model, session: await open(model) };
  } catch (thrown) {
    if (model.cache !== "hit") throw thrown;
    await forgetModel(request);
    // Without the folder, so that a file that cannot be removed is not found again.
    const { model: anew, session } = await opened({ ...request, directory: undefined }, open);
    return { model: { ...anew, cache: "damaged" }, session };
  }
}
