import { type Backoff, backoffDelayMs } from "@consilium/shared/abort.js";
import type { Clock } from "@consilium/shared/clock.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import type { Reachability } from "./reachability.js";
import type { CoordinatorClient, Directive } from "./round/coordinator.js";
import { waitFor } from "./round/patience.js";

export interface AttachmentOptions {
  readonly coordinator: Pick<CoordinatorClient, "attach">;
  readonly receive: (directive: Directive) => Promise<void>;
  readonly reachability: Pick<Reachability, "reached" | "failed" | "lasting">;
  readonly onAttached: (attached: boolean) => void;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly signal: AbortSignal;
  /** Ends the present connection, so that the site attaches anew. */
  readonly onConnection: (detach: () => void) => void;
  /** Lets go of the connection: before a long pause, and when it leads nowhere. */
  readonly rest: () => void;
}

/** A site that was shut out looks so seldom whether it still is. */
const shutOutPause = { initialMs: 10 * 60_000, maxMs: 60 * 60_000 };

/** Four heartbeats of the coordinator's. A proxy that takes a connection and then says nothing looks like this, too. */
const silenceMs = 60_000;

/** Keeps the site attached until the signal fires: whatever ends the connection, it is made again after a pause. */
export async function stayAttached(options: AttachmentOptions): Promise<void> {
  const { clock, backoff, signal, onAttached } = options;
  for (let failures = 0; !signal.aborted; failures++) {
    const connection = new AbortController();
    options.onConnection(() => connection.abort());
    const heard = await attachOnce(options, AbortSignal.any([signal, connection.signal]));
    onAttached(false);
    if (heard) failures = 0;
    const shutOut = options.reachability.lasting;
    if (shutOut) options.rest();
    const pause = shutOut ? { ...shutOutPause, random: backoff.random } : backoff;
    try {
      await waitFor(backoffDelayMs(failures, pause), { clock, signal });
    } catch {
      return;
    }
  }
}

/** Whether the coordinator said anything before the connection ended. */
async function attachOnce(options: AttachmentOptions, signal: AbortSignal): Promise<boolean> {
  const { coordinator, receive, reachability, onAttached, rest } = options;
  const silence = new Silence(options.clock);
  let heard = false;
  try {
    for await (const directive of coordinator.attach(AbortSignal.any([signal, silence.signal]))) {
      silence.broken();
      if (!heard) {
        heard = true;
        reachability.reached();
        onAttached(true);
      }
      await receive(directive);
      silence.listen();
    }
  } catch (thrown) {
    if (!signal.aborted && !silence.signal.aborted) reachability.failed(asConsiliumError(thrown));
  } finally {
    silence.broken();
  }
  if (silence.signal.aborted) {
    reachability.failed(
      new ConsiliumError("unreachable", `the coordinator was silent for ${silenceMs / 1000} seconds`),
    );
    rest();
  }
  return heard;
}

/** Waits for the coordinator to speak, from the start and from each `listen` on until `broken`; else fires its signal. */
class Silence {
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #cancel = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.listen();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  listen(): void {
    this.#cancel = this.#clock.schedule(this.#clock.now() + silenceMs, () => this.#over.abort());
  }

  broken(): void {
    this.#cancel();
  }
}
