import type { Clock } from "@consilium/shared/clock.js";

/** Repeats until cancelled, each time `everyMs` after the last time ended; what fails is tried again. */
export function everySoOften(repeated: {
  clock: Clock;
  everyMs: number;
  task: () => void | Promise<void>;
}): () => void {
  const { clock, everyMs, task } = repeated;
  let cancelled = false;
  let cancel = () => {};
  const arm = () => {
    if (!cancelled) cancel = clock.schedule(clock.now() + everyMs, () => void run().then(arm, arm));
  };
  const run = async () => task();
  arm();
  return () => {
    cancelled = true;
    cancel();
  };
}
