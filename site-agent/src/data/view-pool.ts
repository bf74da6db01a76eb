import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { type Deferred, deferred } from "@consilium/shared/abort.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { BatchViews } from "./batch-memory.js";
import type { DataSettings } from "./data-settings.js";
// Before any thread starts.
import "./loaders.js";
import { UnreadableImage } from "./source.js";
import type { BatchRow, ViewMaker, ViewRequest } from "./view-maker.js";
import type { FromViewThread, ToViewThread, ViewFailure, ViewThreadSetup } from "./view-thread-messages.js";

export interface ViewPoolOptions {
  readonly config: RunConfig;
  readonly settings: DataSettings;
  /** What a thread runs; by default, what lies beside this module. */
  readonly threadEntry?: URL;
}

/** Decodes that one thread has under way, so that waiting for the disk costs nothing. */
const decodesPerThread = 2;

const defaultEntry = new URL("./view-thread.js", import.meta.url);

/**
 * Makes views in threads of their own, which need nothing from the calling thread between a request and its answer: it
 * may be blocked meanwhile. An image always goes to the same thread, which may have it in its cache.
 */
export class ViewPool implements ViewMaker {
  readonly #threads: ViewThread[];

  constructor({ config, settings, threadEntry = defaultEntry }: ViewPoolOptions) {
    const cacheBytes = Math.floor(settings.cacheBytes / settings.concurrency);
    const setup: ViewThreadSetup = { config, settings, cacheBytes, concurrency: decodesPerThread };
    this.#threads = Array.from({ length: settings.concurrency }, () => new ViewThread(threadEntry, setup));
  }

  forget(fileIds: readonly string[]): void {
    for (const thread of this.#threads) thread.send({ type: "forget", fileIds });
  }

  make(request: ViewRequest, target: BatchRow): Promise<BatchViews | undefined> {
    const digest = createHash("sha256").update(request.item.id).digest();
    return this.#threads[digest.readUInt32LE(0) % this.#threads.length]!.make(request, target);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class ViewThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Deferred<BatchViews | undefined>>();
  #tickets = 0;
  #failure: Error | undefined;

  constructor(entry: URL, setup: ViewThreadSetup) {
    this.#worker = new Worker(entry, { workerData: setup });
    this.#worker.on("message", (message: FromViewThread) => this.#receive(message));
    this.#worker.on("error", (cause) => this.#fail(threadFailure(cause)));
    this.#worker.on("exit", () => this.#fail(threadFailure(new Error("it ended"))));
  }

  send(message: ToViewThread): void {
    this.#worker.postMessage(message);
  }

  make(request: ViewRequest, { memory, row }: BatchRow): Promise<BatchViews | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const ticket = this.#tickets++;
    const answer = deferred<BatchViews | undefined>();
    this.#waiting.set(ticket, answer);
    const { extent, buffer } = memory;
    this.send({ type: "make", ticket, request, row, extent, buffer });
    return answer.promise;
  }

  async close(): Promise<void> {
    this.#fail(new AbortedError("the data pipeline was closed"));
    await this.#worker.terminate();
  }

  #receive(message: FromViewThread): void {
    const answer = this.#waiting.get(message.ticket);
    this.#waiting.delete(message.ticket);
    if (message.type === "made") answer?.resolve(message.batch);
    else answer?.reject(errorOf(message.failure));
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const answer of this.#waiting.values()) answer.reject(this.#failure);
    this.#waiting.clear();
  }
}

function threadFailure(cause: Error): ConsiliumError {
  return new ConsiliumError("training-failed", `a thread that prepares images failed: ${cause.message}`, {
    remedy: "the round is trained again; if this repeats, lower `cacheBytes` or `concurrency` of the data",
    cause,
  });
}

function errorOf({ code, message, remedy, unreadable }: ViewFailure): ConsiliumError {
  if (unreadable !== undefined) return new UnreadableImage(unreadable.id, unreadable.reason);
  return new ConsiliumError(code, message, remedy === undefined ? {} : { remedy });
}
