import { ConsiliumError } from "@consilium/shared/errors.js";
import Database from "better-sqlite3";
import { migrate } from "./migrations.js";

export type StoreDatabase = Database.Database;

/**
 * Opens the coordinator's database. A committed transaction survives the loss of power (WAL with synchronous FULL).
 * @throws ConsiliumError "storage" when the file is damaged or newer than this program.
 */
export function openDatabase(path: string, nowMs: number): StoreDatabase {
  const database = new Database(path);
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    const verdict = database.pragma("quick_check(1)", { simple: true });
    if (verdict !== "ok") throw damaged(path, String(verdict));
    migrate(database, nowMs);
    return database;
  } catch (cause) {
    database.close();
    throw cause instanceof Database.SqliteError ? damaged(path, cause.message) : cause;
  }
}

/** Does not wait until the disk has what `write` commits; the next commit that waits takes it along. */
export function withoutSync(database: StoreDatabase, write: () => void): void {
  database.pragma("synchronous = NORMAL");
  try {
    write();
  } finally {
    database.pragma("synchronous = FULL");
  }
}

function damaged(path: string, reason: string): ConsiliumError {
  return new ConsiliumError("storage", `${path}: ${reason}`, { remedy: "restore the file from the newest backup" });
}
