import { backoffDelayMs, sleep } from "@consilium/shared/abort.js";
import type { Clock } from "@consilium/shared/clock.js";
import { AbortedError, asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { formatDuration } from "@consilium/shared/terminal/format.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import type { Output } from "@consilium/shared/terminal/output.js";
import type { RunDetail } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";
import { watchFrame } from "./watch-frame.js";

export interface WatchOptions {
  readonly admin: Pick<Admin, "watchRun">;
  readonly runId: string;
  readonly output: Output;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Waits between reconnects; replaced by tests. */
  readonly wait?: (delayMs: number, signal: AbortSignal) => Promise<void>;
}

const ended = new Set(["completed", "stopped", "failed", "paused"]);
const passing = new Set(["unreachable", "overloaded", "deadline"]);
const repaintMs = 1000;

/**
 * Shows a run until it ends or pauses, through restarts of the coordinator; returns its last state.
 * @throws AbortedError when the signal fires first, ConsiliumError for anything but a lost connection.
 */
export async function watchRun(options: WatchOptions): Promise<RunDetail> {
  const view = new WatchView(options);
  const wait = options.wait ?? sleep;
  let failures = 0;
  const onDetail = (detail: RunDetail) => {
    failures = 0;
    view.show(detail);
  };
  try {
    for (;;) {
      const connection = await follow(options, onDetail);
      if (connection.last !== undefined) return connection.last;
      const delayMs = backoffDelayMs(failures++, { initialMs: 500, maxMs: 15_000, random: options.random });
      view.lost(connection.lostBecause, delayMs);
      await wait(delayMs, options.signal);
    }
  } finally {
    view.end();
  }
}

type Followed = { readonly last: RunDetail } | { readonly last: undefined; readonly lostBecause: string };

/** Follows one connection until the run ends or the connection is lost. */
async function follow(
  { admin, runId, signal }: WatchOptions,
  onDetail: (detail: RunDetail) => void,
): Promise<Followed> {
  try {
    for await (const detail of admin.watchRun(runId, signal)) {
      onDetail(detail);
      if (ended.has(detail.summary.status)) return { last: detail };
    }
    return { last: undefined, lostBecause: "the coordinator closed the connection" };
  } catch (thrown) {
    throwUnlessPassing(thrown, signal);
    return { last: undefined, lostBecause: asConsiliumError(thrown).message };
  }
}

function throwUnlessPassing(thrown: unknown, signal: AbortSignal): void {
  if (signal.aborted) throw new AbortedError();
  if (!(thrown instanceof ConsiliumError) || !passing.has(thrown.code)) throw thrown;
}

/** The run's last state as it stands on screen, or as JSON lines. */
class WatchView {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #live: LiveBlock;
  #detail: RunDetail | undefined;
  #seenRounds: number | undefined;
  #lastDocument = "";
  #connected = true;
  #cancelRepaint: () => void = () => {};

  constructor({ output, clock }: Pick<WatchOptions, "output" | "clock">) {
    this.#output = output;
    this.#clock = clock;
    this.#live = new LiveBlock(output.stdout);
  }

  show(detail: RunDetail): void {
    if (!this.#connected) this.#remark("connected again");
    this.#connected = true;
    this.#detail = detail;
    this.#seenRounds ??= detail.history.length;
    if (this.#output.json) this.#document(detail);
    else this.#repaint();
  }

  lost(reason: string, delayMs: number): void {
    if (this.#connected)
      this.#remark(
        `${reason.replace(/\.$/, "")}; trying again in ${formatDuration(delayMs)}, the run goes on meanwhile`,
      );
    this.#connected = false;
  }

  end(): void {
    this.#cancelRepaint();
    this.#live.end();
  }

  #remark(text: string): void {
    if (!this.#output.json && this.#live.inPlace) this.#live.log(text);
    else this.#output.note(text);
  }

  /** One line per change; the history and the configuration, which `run show` gives in full, are left out. */
  #document({ summary, current, history }: RunDetail): void {
    const document = { run: summary, current: current ?? null, lastRound: history.at(-1) ?? null };
    const text = JSON.stringify(document);
    if (text === this.#lastDocument) return;
    this.#lastDocument = text;
    this.#output.document(document);
  }

  /** Paints now and, on a terminal, each second after, so that times left keep running. */
  #repaint(): void {
    this.#cancelRepaint();
    const nowMs = this.#clock.now();
    this.#live.show(watchFrame(this.#detail!, { nowMs, seenRounds: this.#seenRounds! }));
    if (!this.#live.inPlace) return;
    this.#cancelRepaint = this.#clock.schedule(nowMs + repaintMs, () => this.#repaint());
  }
}
