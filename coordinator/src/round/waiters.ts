import { AbortedError } from "@consilium/shared/errors.js";
import type { StageName } from "../store/run-store.js";
import { type Outcome, outcomeOf } from "./outcomes.js";
import type { RoundState } from "./state.js";

interface Waiter {
  readonly siteId: string;
  readonly stage: StageName;
  readonly answer: (outcome: Outcome) => void;
  readonly fail: (reason: Error) => void;
}

/** Calls of sites that wait for a stage of the current attempt to close. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /** The outcome as soon as there is one; rejects with AbortedError when the caller goes away. */
  wait(state: RoundState, call: { siteId: string; stage: StageName }, signal: AbortSignal): Promise<Outcome> {
    const known = outcomeOf(state, call.siteId, call.stage);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new AbortedError());
      const leave = () => {
        this.#waiting.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        leave();
        reject(new AbortedError());
      };
      const waiter: Waiter = {
        ...call,
        answer: (outcome) => {
          leave();
          resolve(outcome);
        },
        fail: (reason) => {
          leave();
          reject(reason);
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  answer(state: RoundState): void {
    for (const waiter of [...this.#waiting]) {
      const outcome = outcomeOf(state, waiter.siteId, waiter.stage);
      if (outcome !== undefined) waiter.answer(outcome);
    }
  }

  failAll(reason: Error): void {
    for (const waiter of [...this.#waiting]) waiter.fail(reason);
  }
}
