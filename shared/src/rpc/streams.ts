import type { Writable } from "node:stream";
import { orAborted } from "../abort.js";
import { AbortedError } from "../errors.js";

/** Resolves once the stream wants more; rejects with AbortedError when the signal fires first. */
export function drained(
  stream: Pick<Writable, "once" | "off" | "writableNeedDrain">,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new AbortedError());
    if (!stream.writableNeedDrain) return resolve();
    const release = () => {
      stream.off("drain", onDrain);
      signal.removeEventListener("abort", onAbort);
    };
    const onDrain = () => {
      release();
      resolve();
    };
    const onAbort = () => {
      release();
      reject(new AbortedError());
    };
    stream.once("drain", onDrain);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * The same items, but a wait for the next one ends with AbortedError as soon as the signal fires, even where the
 * source does not look at it. The source's `return` is called, and not waited for.
 */
export async function* interruptible<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let exhausted = false;
  try {
    for (;;) {
      const step = await orAborted(iterator.next(), signal);
      exhausted = step.done === true;
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    if (!exhausted) void close(iterator);
  }
}

async function close(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The reader has gone; nobody is left to tell.
  }
}
