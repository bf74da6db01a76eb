import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";

/**
 * One writer at a time, between the agent and commands: an exclusive transaction on an empty SQLite file. The system
 * releases it when its holder dies, however that happens, which no file of our own making would do.
 */
export class WriteLock {
  readonly #database: Database.Database;
  readonly #begin: Database.Statement;
  readonly #end: Database.Statement;

  /** @param waitMs how long to wait for another writer, which holds the lock for milliseconds */
  constructor(directory: string, waitMs = 10_000) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#database = new Database(join(directory, "lock"), { timeout: waitMs });
    this.#begin = this.#database.prepare("BEGIN EXCLUSIVE");
    this.#end = this.#database.prepare("COMMIT");
  }

  /** Throws what `task` throws, and SQLite's error when another writer kept the lock. */
  hold<Result>(task: () => Result): Result {
    this.#begin.run();
    try {
      return task();
    } finally {
      this.#end.run();
    }
  }

  close(): void {
    this.#database.close();
  }
}
