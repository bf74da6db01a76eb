import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { ConsiliumError, type ErrorCode } from "@consilium/shared/errors.js";
import { countImages } from "./count-images.js";
import type { DataSettings } from "./data-settings.js";
import { ListingPace } from "./index/listing-pace.js";
// Before any thread starts.
import "./loaders.js";

/** What the thread says, once. */
export type CountAnswer =
  | { readonly type: "counted"; readonly count: number }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string; readonly remedy?: string };

export interface ImageCounterOptions {
  readonly settings: DataSettings;
  readonly now: () => number;
  /** What the thread runs; by default, what lies beside this module. */
  readonly threadEntry?: URL;
}

const ended: CountAnswer = { type: "failed", code: "internal", message: "the thread that counts images ended" };

const defaultEntry = new URL("./count-images-thread.js", import.meta.url);

/**
 * How many images a site has, for an agent that must go on answering meanwhile: opening files and writing the index, for
 * which another process may have to be waited, is done in a thread.
 */
export class ImageCounter {
  readonly #options: ImageCounterOptions;
  readonly #pace: ListingPace;
  #count: number | undefined;
  #underWay: Promise<number> | undefined;

  constructor(options: ImageCounterOptions) {
    this.#options = options;
    this.#pace = new ListingPace(options.now);
  }

  /** @throws ConsiliumError as `countImages` */
  async count(): Promise<number> {
    const { settings } = this.#options;
    if (settings.source === "folder") return countImages(settings);
    if (this.#count !== undefined && !this.#pace.isDue) return this.#count;
    this.#underWay ??= this.#pace
      .pace(() => this.#inThread())
      .finally(() => {
        this.#underWay = undefined;
      });
    this.#count = await this.#underWay;
    return this.#count;
  }

  async #inThread(): Promise<number> {
    const { settings, threadEntry = defaultEntry } = this.#options;
    const thread = new Worker(threadEntry, { workerData: settings });
    // An agent that stops does not wait for it.
    thread.unref();
    try {
      const answer = await Promise.race([
        once(thread, "message").then(([said]) => said as CountAnswer),
        once(thread, "exit").then(() => ended),
      ]);
      if (answer.type === "counted") return answer.count;
      throw new ConsiliumError(
        answer.code,
        answer.message,
        answer.remedy === undefined ? {} : { remedy: answer.remedy },
      );
    } finally {
      await thread.terminate();
    }
  }
}
