import { type Backoff, backoffDelayMs } from "@consilium/shared/abort.js";
import type { Clock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";

/** How calls are repeated while the coordinator cannot be reached. */
export interface Patience {
  readonly clock: Clock;
  readonly backoff: Backoff;
  /** Told about every failed try, so that someone can say so once. */
  readonly onUnreachable: (error: ConsiliumError) => void;
  readonly onReached: () => void;
}

/** Answers that say nothing about the call itself. */
const passing = new Set<string>(["unreachable", "overloaded", "deadline"]);

/**
 * Repeats a call with the same content until it is answered, for at most `patienceMs` of failing.
 * @throws what the call threw last, when patience is over or the failure is an answer.
 */
export async function persistently<T>(
  call: () => Promise<T>,
  limits: { readonly patienceMs: number; readonly signal: AbortSignal },
  patience: Patience,
): Promise<T> {
  const { clock, backoff, onUnreachable, onReached } = patience;
  const giveUpAtMs = clock.now() + limits.patienceMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await call();
      onReached();
      return answer;
    } catch (error) {
      if (!(error instanceof ConsiliumError) || !passing.has(error.code)) throw error;
      if (error.code === "unreachable") onUnreachable(error);
      const delayMs = backoffDelayMs(attempt, backoff);
      if (clock.now() + delayMs > giveUpAtMs) throw error;
      await waitFor(delayMs, { clock, signal: limits.signal });
    }
  }
}

/** Waits by the given clock. @throws AbortedError when the signal fires. */
export function waitFor(milliseconds: number, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new AbortedError());
    const cancel = clock.schedule(clock.now() + milliseconds, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = () => {
      cancel();
      reject(new AbortedError());
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
