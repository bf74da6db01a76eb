import { AbortedError } from "./errors.js";

/** Waits; rejects with AbortedError as soon as the signal fires, and leaves no listener behind. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError());
    const onAbort = () => {
      clearTimeout(timer);
      reject(new AbortedError());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * The promise's value, or AbortedError when the signal fires first. Unlike a race with one long-lived promise, nothing
 * holds on to the value afterwards: a stream would otherwise keep all that it ever sent.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new AbortedError());
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1); spreads reconnects of many sites. */
  readonly random: () => number;
}

/** Delay before try number `attempt` (from 0): exponential, capped, with 0 to 100 % jitter on top of half of it. */
export function backoffDelayMs(attempt: number, { initialMs, maxMs, random }: Backoff): number {
  const full = Math.min(maxMs, initialMs * 2 ** Math.min(attempt, 30));
  return full / 2 + random() * (full / 2);
}

/** A promise with its handles outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
