import { asConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import { roundKeyText } from "@consilium/shared/protocol.js";
import type { CoordinatorClient, SiteReport } from "./coordinator.js";
import { type Patience, persistently, waitFor } from "./patience.js";

/** Progress is told at most this often, since its pace says something of a site; a change of phase at once. */
const progressEveryMs = 10_000;
/** A report that could not be delivered for this long is no longer of interest to anyone. */
const patienceMs = 10 * 60_000;

/** Tells the coordinator where the site is. Only the newest report counts: older ones that wait are replaced. */
export class Reporter {
  readonly #coordinator: Pick<CoordinatorClient, "report">;
  readonly #patience: Patience;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #next: SiteReport | undefined;
  #last: SiteReport | undefined;
  #sending: Promise<void> | undefined;
  /** Cuts short the pause after progress when something more important comes. */
  #pause: AbortController | undefined;

  constructor(options: { coordinator: Pick<CoordinatorClient, "report">; patience: Patience; logger: Logger }) {
    this.#coordinator = options.coordinator;
    this.#patience = options.patience;
    this.#logger = options.logger;
  }

  tell(report: SiteReport): void {
    if (this.#stopping.signal.aborted) return;
    this.#next = report;
    if (!isProgressOf(this.#last, report)) this.#pause?.abort();
    this.#start();
  }

  #start(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#next !== undefined && !this.#stopping.signal.aborted) this.#start();
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (this.#next !== undefined && !this.#stopping.signal.aborted) {
      this.#last = await this.#send(this.#next);
      if (this.#last.phase === "training") await this.#pauseAfterProgress();
    }
  }

  /** Every try sends the newest report, so one that was overtaken is never sent late. Returns the one sent last. */
  async #send(first: SiteReport): Promise<SiteReport> {
    const { signal } = this.#stopping;
    let current = first;
    const send = () => {
      current = this.#next ?? current;
      this.#next = undefined;
      return this.#coordinator.report(current, signal);
    };
    try {
      await persistently(send, { patienceMs, signal }, this.#patience);
    } catch (error) {
      if (!signal.aborted) {
        const { code } = asConsiliumError(error);
        this.#logger.warn("report-failed", { round: roundKeyText(current.key), code });
      }
    }
    return current;
  }

  async #pauseAfterProgress(): Promise<void> {
    if (this.#next !== undefined && !isProgressOf(this.#last, this.#next)) return;
    this.#pause = new AbortController();
    const signal = AbortSignal.any([this.#pause.signal, this.#stopping.signal]);
    try {
      await waitFor(progressEveryMs, { clock: this.#patience.clock, signal });
    } catch {
      // Cut short: there is something to tell, or the agent stops.
    } finally {
      this.#pause = undefined;
    }
  }
}

function isProgressOf(last: SiteReport | undefined, report: SiteReport): boolean {
  return (
    last !== undefined &&
    report.phase === "training" &&
    last.phase === "training" &&
    roundKeyText(last.key) === roundKeyText(report.key)
  );
}
