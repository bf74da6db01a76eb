import { parentPort, workerData } from "node:worker_threads";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { createAugmenter } from "./augment/augment.js";
import { openSource } from "./open-source.js";
import { UnreadableImage } from "./source.js";
import { LocalViewMaker, type ViewRequest } from "./view-maker.js";
import type { FromViewThread, ToViewThread, ViewFailure, ViewThreadSetup } from "./view-thread-messages.js";

/** Entry of a thread that decodes and augments, so that neither waits for the training step, which blocks its thread. */

const setup = workerData as ViewThreadSetup;
const maker = new LocalViewMaker({
  source: openSource({ settings: setup.settings, imageSize: setup.config.model.imageSize }),
  augment: createAugmenter(setup.config),
  views: setup.views,
  cacheBytes: setup.cacheBytes,
  concurrency: setup.concurrency,
});

parentPort?.on("message", (message: ToViewThread) => {
  if (message.type === "begin") maker.begin(message.items);
  else void answer(message.ticket, message.request);
});

async function answer(ticket: number, request: ViewRequest): Promise<void> {
  try {
    const views = await maker.make(request);
    const buffers = views.map(({ buffer }) => buffer as ArrayBuffer);
    send({ type: "made", ticket, views }, buffers);
  } catch (thrown) {
    send({ type: "failed", ticket, failure: failureOf(thrown, request) });
  }
}

function failureOf(thrown: unknown, { item }: ViewRequest): ViewFailure {
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
