import { setTimeout as sleep } from "node:timers/promises";
import { RequestFailure } from "./archive-failure.js";

export interface RetryOptions {
  /** Tries in all. */
  readonly attempts: number;
  /** Before the second try; doubled before each further one. */
  readonly firstDelayMilliseconds: number;
}

/**
 * Tries again what may pass, with delays that double and differ by chance, so that many sites do not come back at once.
 * @throws what the last try threw
 */
export async function withRetry<T>(
  { attempts, firstDelayMilliseconds }: RetryOptions,
  act: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (thrown) {
      if (!(thrown instanceof RequestFailure) || !thrown.mayPass || attempt >= attempts) throw thrown;
      await sleep(firstDelayMilliseconds * 2 ** (attempt - 1) * (0.5 + Math.random() / 2));
    }
  }
}
