import Database from "better-sqlite3";

export type IndexDatabase = Database.Database;

/** Raised with every change of the tables: an index of another version is made anew. */
const version = 2;

const tables = `
CREATE TABLE meta (purpose TEXT NOT NULL, scan INTEGER NOT NULL);
CREATE TABLE files (
  file INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  -- stamp and row of the labels file: what decides which images it has
  version TEXT NOT NULL,
  stamp TEXT NOT NULL,
  -- why it has none
  reason TEXT,
  seen INTEGER NOT NULL
);
CREATE INDEX files_by_reason ON files (reason) WHERE reason IS NOT NULL;
CREATE TABLE items (
  item INTEGER PRIMARY KEY,
  file INTEGER NOT NULL REFERENCES files (file) ON DELETE CASCADE,
  id TEXT NOT NULL UNIQUE,
  stamp TEXT NOT NULL,
  "group" TEXT, label TEXT, split TEXT, attributes TEXT,
  format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, modality TEXT, transfer_syntax TEXT,
  -- once its pixels were read
  digest BLOB, hash BLOB,
  -- why they could not be
  reason TEXT
);
CREATE INDEX items_by_file ON items (file);
CREATE INDEX items_by_reason ON items (reason) WHERE reason IS NOT NULL;
`;

/**
 * Opens an index, or makes it anew when it is damaged, of another version, or for other settings: it is a cache of what
 * the source holds, and no loss.
 * @param path a file, or ":memory:"
 * @param purpose settings that decide which images a source has
 * @param remove deletes the file
 */
export function openIndexDatabase(path: string, purpose: string, remove: (path: string) => void): IndexDatabase {
  if (path !== ":memory:" && !isCurrent(path, purpose)) remove(path);
  const database = openTuned(path);
  if (database.pragma("user_version", { simple: true }) !== version) {
    database.transaction(() => {
      database.exec(tables);
      database.prepare("INSERT INTO meta VALUES (?, 0)").run(purpose);
      database.pragma(`user_version = ${version}`);
    })();
  }
  return database;
}

function openTuned(path: string): IndexDatabase {
  const database = new Database(path, { timeout: 30_000 });
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.pragma("foreign_keys = ON");
  // KiB; the default cache would be the same for a million images, but say it.
  database.pragma("cache_size = -16384");
  return database;
}

function isCurrent(path: string, purpose: string): boolean {
  let database: IndexDatabase | undefined;
  try {
    database = openTuned(path);
    if (database.pragma("user_version", { simple: true }) !== version) return false;
    if (database.pragma("quick_check(1)", { simple: true }) !== "ok") return false;
    return database.prepare("SELECT purpose FROM meta").pluck().get() === purpose;
  } catch (thrown) {
    if (thrown instanceof Database.SqliteError) return false;
    throw thrown;
  } finally {
    database?.close();
  }
}
