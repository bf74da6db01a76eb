import { type Deferred, deferred } from "@consilium/shared/abort.js";

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly result: Deferred<Result>;
}

/**
 * Commits what comes in one turn of the event loop together. A commit waits for the disk, which takes as long for many as
 * for one.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => readonly Result[];
  #waiting: Waiting<Item, Result>[] = [];

  /** @param commit all or nothing; gives a result for each item, in their order */
  constructor(commit: (items: readonly Item[]) => readonly Result[]) {
    this.#commit = commit;
  }

  /** Resolves once the item is durable; rejects with what `commit` throws, as the others that came with it. */
  add(item: Item): Promise<Result> {
    const result = deferred<Result>();
    if (this.#waiting.push({ item, result }) === 1) setImmediate(() => this.#run());
    return result.promise;
  }

  #run(): void {
    const group = this.#waiting;
    this.#waiting = [];
    try {
      const results = this.#commit(group.map(({ item }) => item));
      for (const [index, { result }] of group.entries()) result.resolve(results[index]!);
    } catch (thrown) {
      for (const { result } of group) result.reject(thrown);
    }
  }
}
