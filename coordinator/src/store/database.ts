import { closeSync, existsSync, openSync } from "node:fs";
import { ConsiliumError } from "@consilium/shared/errors.js";
import Database from "better-sqlite3";
import { lockHome } from "./lock.js";
import { appliedVersion, migrate, migrations } from "./migrations.js";

export type StoreDatabase = Database.Database;

/**
 * Opens the coordinator's database. A committed transaction survives the loss of power (WAL with synchronous FULL).
 * @throws ConsiliumError "storage" when the file is damaged or newer than this program.
 */
export function openDatabase(path: string, nowMs: number): StoreDatabase {
  if (path !== ":memory:") createPrivately(path);
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

/**
 * The same for a command, also beside a coordinator that runs in the home. Only where the database is older than this
 * program must none run, since one that does could not go on with the newer form.
 * @throws ConsiliumError "already-exists" then, and "storage" as above
 */
export function openBeside(paths: { readonly database: string; readonly lock: string }, nowMs: number): StoreDatabase {
  // Held as briefly as may be: a coordinator that starts meanwhile would take it for another one.
  const lock = needsNoMigration(paths.database) ? undefined : lockHome(paths.lock);
  try {
    return openDatabase(paths.database, nowMs);
  } finally {
    lock?.release();
  }
}

function needsNoMigration(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new Database(path);
  try {
    return appliedVersion(database) >= migrations.length;
  } catch {
    // A file that is empty or damaged: opening it says which.
    return false;
  } finally {
    database.close();
  }
}

/** SQLite gives the files beside it the same mode. */
function createPrivately(path: string): void {
  closeSync(openSync(path, "a", 0o600));
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
