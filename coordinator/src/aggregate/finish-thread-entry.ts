import { parentPort, workerData } from "node:worker_threads";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { type FinishJob, finishRound } from "./finish-round.js";
import type { FinishReport } from "./finish-thread.js";
import { reportFailure } from "./threads.js";

/** Started by `finishInThread` with a FinishJob as its data; posts one FinishReport and ends. */
async function report(job: FinishJob): Promise<FinishReport> {
  try {
    return { kind: "finished", finished: await finishRound(job) };
  } catch (thrown) {
    return reportFailure(asConsiliumError(thrown));
  }
}

const job: FinishJob = workerData;
parentPort?.postMessage(await report(job));
