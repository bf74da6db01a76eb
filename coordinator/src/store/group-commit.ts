import { type Deferred, deferred } from "@consilium/shared/abort.js";
import type { Clock } from "@consilium/shared/clock.js";

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly result: Deferred<Result>;
}

export interface Pace {
  /** From one commit to the next, at least. */
  readonly everyMs: number;
  readonly clock: Clock;
}

/**
 * Commits what comes in one turn of the event loop together. A commit waits for the disk, which takes as long for many as
 * for one.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => readonly Result[];
  readonly #pace: Pace | undefined;
  #waiting: Waiting<Item, Result>[] = [];
  #committedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param commit all or nothing; gives a result for each item, in their order
   * @param pace where callers can wait longer than a turn, so that no number of them keeps the disk busy
   */
  constructor(commit: (items: readonly Item[]) => readonly Result[], pace?: Pace) {
    this.#commit = commit;
    this.#pace = pace;
  }

  /** Resolves once the item is durable; rejects with what `commit` throws, as the others that came with it. */
  add(item: Item): Promise<Result> {
    const result = deferred<Result>();
    if (this.#waiting.push({ item, result }) === 1) this.#schedule();
    return result.promise;
  }

  #schedule(): void {
    const dueInMs = this.#dueInMs();
    if (this.#pace === undefined || dueInMs <= 0) setImmediate(() => this.#run());
    else this.#pace.clock.schedule(this.#pace.clock.now() + dueInMs, () => this.#run());
  }

  /** A clock that was set back must not stop the commits until it is where it was. */
  #dueInMs(): number {
    if (this.#pace === undefined) return 0;
    const { clock, everyMs } = this.#pace;
    const sinceMs = Math.max(0, clock.now() - this.#committedAtMs);
    return everyMs - sinceMs;
  }

  #run(): void {
    const group = this.#waiting;
    this.#waiting = [];
    this.#committedAtMs = this.#pace?.clock.now() ?? this.#committedAtMs;
    try {
      const results = this.#commit(group.map(({ item }) => item));
      for (const [index, { result }] of group.entries()) result.resolve(results[index]!);
    } catch (thrown) {
      for (const { result } of group) result.reject(thrown);
    }
  }
}
