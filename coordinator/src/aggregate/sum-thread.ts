import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { type Deferred, deferred } from "@consilium/shared/abort.js";
import { blockWords, type SumSource } from "@consilium/shared/aggregate/next-checkpoint.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import type { PairwiseMask } from "@consilium/shared/secagg/masked-upload.js";
import { ReadAhead, type Stretch } from "./read-ahead.js";
import { type SpooledVector, UnmaskedSum } from "./sum.js";
import { canStartThreads, reportedError, startThread, type ThreadFailure } from "./threads.js";

export interface SumJob {
  readonly vectors: readonly SpooledVector[];
  readonly words: number;
  readonly masks: readonly PairwiseMask[];
  readonly blocks: readonly [SharedArrayBuffer, SharedArrayBuffer];
}

export type SumRequest = ({ readonly kind: "range" } & Stretch) | { readonly kind: "close" };

export type SumAnswer = { readonly kind: "done" } | ThreadFailure;

export interface OpenSum extends SumSource {
  /** Overwrites the masks' keys. */
  close(): Promise<void>;
}

const entry = new URL("./sum-thread-entry.js", import.meta.url);

/**
 * An UnmaskedSum that is made on a thread of its own, ahead of its reader, who hashes and writes meanwhile. Uncompiled
 * sources cannot be loaded by a thread; from those it is made when it is read. Takes over the masks' keys.
 * @throws ConsiliumError "storage", or "update-invalid" for a vector of another length
 */
export function openSum(job: Omit<SumJob, "blocks">): Promise<OpenSum> {
  return canStartThreads ? SumThread.start(job) : UnmaskedSum.open(job.vectors, job.words, job.masks);
}

class SumThread {
  readonly #thread: Worker;
  readonly #blocks: SumJob["blocks"];
  /** In the order in which the thread answers. */
  readonly #asked: Deferred<void>[] = [];
  #ended: ConsiliumError | undefined;

  private constructor(thread: Worker, blocks: SumJob["blocks"]) {
    this.#thread = thread;
    this.#blocks = blocks;
    thread.on("message", (answer: SumAnswer) => this.#settle(answer));
    thread.once("error", (thrown) => this.#end(asConsiliumError(thrown)));
    thread.once("exit", () => this.#end(new ConsiliumError("internal", "the thread that adds the vectors ended")));
  }

  static async start(job: Omit<SumJob, "blocks">): Promise<OpenSum> {
    const blocks = [new SharedArrayBuffer(4 * blockWords), new SharedArrayBuffer(4 * blockWords)] as const;
    const data: SumJob = { ...job, blocks };
    const thread = new SumThread(startThread(entry, data), blocks);
    // It has copies now.
    for (const { key } of job.masks) key.fill(0);
    await thread.#answer();
    const ahead = new ReadAhead(job.words, (stretch) => thread.#fill(stretch));
    return { range: (first, count) => ahead.range(first, count), close: () => thread.close() };
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exit = once(this.#thread, "exit");
    this.#thread.postMessage({ kind: "close" } satisfies SumRequest);
    await exit;
  }

  async #fill({ first, count, block }: Stretch): Promise<Int32Array> {
    this.#thread.postMessage({ kind: "range", first, count, block } satisfies SumRequest);
    await this.#answer();
    return new Int32Array(this.#blocks[block], 0, count);
  }

  #answer(): Promise<void> {
    const asked = deferred<void>();
    if (this.#ended === undefined) this.#asked.push(asked);
    else asked.reject(this.#ended);
    return asked.promise;
  }

  #settle(answer: SumAnswer): void {
    const asked = this.#asked.shift();
    if (answer.kind === "failed") asked?.reject(reportedError(answer));
    else asked?.resolve();
  }

  #end(reason: ConsiliumError): void {
    this.#ended ??= reason;
    for (const asked of this.#asked.splice(0)) asked.reject(this.#ended);
  }
}
