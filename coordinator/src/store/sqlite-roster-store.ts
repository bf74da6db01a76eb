import type { StoreDatabase } from "./database.js";
import type { RosterRow, RosterStore } from "./roster-store.js";

const columns = "version, digest, document, published_at_ms AS publishedAtMs, published_by AS publishedBy";

export function createRosterStore(database: StoreDatabase): RosterStore {
  const newest = database.prepare<[], RosterRow>(`SELECT ${columns} FROM rosters ORDER BY version DESC LIMIT 1`);
  const after = database.prepare<[number], RosterRow>(
    `SELECT ${columns} FROM rosters WHERE version > ? ORDER BY version`,
  );
  const put = database.prepare<[RosterRow]>(
    `INSERT INTO rosters (version, digest, document, published_at_ms, published_by)
     VALUES (:version, :digest, :document, :publishedAtMs, :publishedBy)
     ON CONFLICT (version) DO UPDATE SET document = excluded.document WHERE digest = excluded.digest`,
  );
  return {
    newest: () => newest.get(),
    listAfter: (version) => after.all(version),
    put: (row) => void put.run(row),
  };
}
