import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { UnmaskedSum } from "./sum.js";
import type { SumAnswer, SumJob, SumRequest } from "./sum-thread.js";
import { reportFailure } from "./threads.js";

/** Started by `openSum` with a SumJob as its data. Answers in the order of the requests, the first time when all is open. */

function requirePort(): MessagePort {
  if (parentPort === null) throw new ConsiliumError("internal", "this file is run by a thread only");
  return parentPort;
}

const port = requirePort();
const { vectors, words, masks, blocks }: SumJob = workerData;
const answer = (message: SumAnswer) => port.postMessage(message);

async function serve(sum: UnmaskedSum, request: SumRequest): Promise<void> {
  if (request.kind === "close") {
    // Whoever asks waits for this thread to end.
    await sum.close().finally(() => port.close());
    return;
  }
  const { first, count, block } = request;
  new Int32Array(blocks[block]).set(await sum.range(first, count));
  answer({ kind: "done" });
}

const fail = (thrown: unknown) => answer(reportFailure(asConsiliumError(thrown)));

try {
  const sum = await UnmaskedSum.open(vectors, words, masks);
  let last: Promise<void> = Promise.resolve();
  port.on("message", (request: SumRequest) => {
    last = last.then(() => serve(sum, request)).catch(fail);
  });
  answer({ kind: "done" });
} catch (thrown) {
  fail(thrown);
}
