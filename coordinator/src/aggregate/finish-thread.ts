import type { Worker } from "node:worker_threads";
import { AbortedError, asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { type FinishedRound, type FinishJob, finishRound } from "./finish-round.js";
import { canStartThreads, reportedError, startThread, type ThreadFailure } from "./threads.js";

/** What the thread says when it ends. */
export type FinishReport = { readonly kind: "finished"; readonly finished: FinishedRound } | ThreadFailure;

const entry = new URL("./finish-thread-entry.js", import.meta.url);

/**
 * `finishRound` on a thread of its own, so that the coordinator keeps answering. Uncompiled sources cannot be loaded
 * by a thread; from those it runs on the calling one, giving way between blocks.
 * @throws what `finishRound` throws; AbortedError when the signal fires; ConsiliumError "internal" when the thread dies
 */
export async function finishInThread(job: FinishJob, signal?: AbortSignal): Promise<FinishedRound> {
  if (signal?.aborted) throw new AbortedError();
  if (!canStartThreads) return finishRound(job);
  const report = await reportOf(startThread(entry, job), signal);
  if (report.kind === "failed") throw reportedError(report);
  return report.finished;
}

function reportOf(thread: Worker, signal: AbortSignal | undefined): Promise<FinishReport> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      void thread.terminate();
      reject(new AbortedError());
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    thread.once("message", (report: FinishReport) => resolve(report));
    thread.once("error", (thrown) => reject(asConsiliumError(thrown)));
    thread.once("exit", (code) => {
      signal?.removeEventListener("abort", onAbort);
      reject(new ConsiliumError("internal", `the thread that sums a round ended with code ${code} and no result`));
    });
  });
}
