import { ConsiliumError } from "@consilium/shared/errors.js";
import Database from "better-sqlite3";

/** Held while this process owns the home directory. */
export interface HomeLock {
  release(): void;
}

/**
 * Takes the home directory for this process. SQLite's exclusive lock is the operating system's, so it is gone the
 * moment the process is, however it ends.
 * @throws ConsiliumError "already-exists" when another process holds it.
 */
export function lockHome(path: string): HomeLock {
  const database = new Database(path, { timeout: 0 });
  try {
    database.pragma("journal_mode = DELETE");
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if (!(cause instanceof Database.SqliteError) || !cause.code.startsWith("SQLITE_BUSY")) throw cause;
    throw new ConsiliumError("already-exists", `${path}: another coordinator is running in this directory`, {
      remedy: "stop the coordinator that runs here first; a second one needs a home directory of its own",
      cause,
    });
  }
  return { release: () => database.close() };
}
