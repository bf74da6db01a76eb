import { parentPort, workerData } from "node:worker_threads";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { createAugmenter } from "./augment/augment.js";
import { BatchMemory } from "./batch-memory.js";
import { openSource } from "./open-source.js";
import { UnreadableImage } from "./source.js";
import { LocalViewMaker } from "./view-maker.js";
import type { FromViewThread, MakeViews, ToViewThread, ViewFailure, ViewThreadSetup } from "./view-thread-messages.js";
import { withWorkingSize } from "./working-size.js";

/** Entry of a thread that decodes and augments, so that neither waits for the training step, which blocks its thread. */

const setup = workerData as ViewThreadSetup;
const maker = new LocalViewMaker({
  source: openSource({
    settings: withWorkingSize(setup.settings, setup.config),
    imageSize: setup.config.model.imageSize,
  }),
  augment: createAugmenter(setup.config),
  cacheBytes: setup.cacheBytes,
  concurrency: setup.concurrency,
});

parentPort?.on("message", (message: ToViewThread) => {
  if (message.type === "forget") maker.forget(message.fileIds);
  else void answer(message);
});

async function answer({ ticket, request, row, extent, buffer }: MakeViews): Promise<void> {
  try {
    const batch = await maker.make(request, { memory: new BatchMemory(extent, buffer), row });
    send({ type: "made", ticket, batch }, batch?.[0] === undefined ? [] : [batch[0].buffer]);
  } catch (thrown) {
    send({ type: "failed", ticket, failure: failureOf(thrown, request) });
  }
}

function failureOf(thrown: unknown, { item }: MakeViews["request"]): ViewFailure {
  const { code, message, remedy } = asConsiliumError(thrown);
  return {
    code,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    ...(thrown instanceof UnreadableImage ? { unreadable: { id: item.id, reason: thrown.reason } } : {}),
  };
}

function send(message: FromViewThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}
