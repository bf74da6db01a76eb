import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Database } from "better-sqlite3";

/** Applied in order, each in its own transaction; position in the list is the version. Never edit one that shipped. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE sites (
    site_id TEXT PRIMARY KEY,
    identity_key BLOB NOT NULL,
    enrolled_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    last_seen_ms INTEGER NOT NULL DEFAULT 0,
    agent_version TEXT NOT NULL DEFAULT ''
  ) STRICT;

  CREATE TABLE invitations (
    token_hash TEXT PRIMARY KEY,
    site_id TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    consumed_at_ms INTEGER,
    request_digest BLOB,
    certificate_pem TEXT
  ) STRICT;
  CREATE INDEX invitations_by_site ON invitations (site_id);

  CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    site_id TEXT NOT NULL REFERENCES sites (site_id),
    pem TEXT NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX certificates_by_site ON certificates (site_id);

  CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    config_json TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    checkpoint_digest TEXT NOT NULL,
    initial_digest TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE rounds (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state_json TEXT NOT NULL,
    plan_body BLOB NOT NULL,
    plan_signature BLOB NOT NULL,
    parent_digest TEXT NOT NULL,
    record_json TEXT,
    PRIMARY KEY (run_id, round, attempt)
  ) STRICT;
  CREATE UNIQUE INDEX one_commit_per_round ON rounds (run_id, round) WHERE record_json IS NOT NULL;

  CREATE TABLE stage_messages (
    run_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    site_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (run_id, round, attempt, site_id, stage),
    FOREIGN KEY (run_id, round, attempt) REFERENCES rounds (run_id, round, attempt)
  ) STRICT;

  CREATE TABLE uploads (
    run_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    site_id TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (run_id, round, attempt, site_id),
    FOREIGN KEY (run_id, round, attempt) REFERENCES rounds (run_id, round, attempt)
  ) STRICT;

  CREATE TABLE events (
    event_id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    fields_json TEXT NOT NULL
  ) STRICT;
  `,
  // Hash of the newest checkpoint of its audit log that a site reported.
  `
  ALTER TABLE sites ADD COLUMN audit_head BLOB;
  `,
  // What a committed round did to the model, as it was signed.
  `
  ALTER TABLE rounds ADD COLUMN result_body BLOB;
  ALTER TABLE rounds ADD COLUMN result_signature BLOB;
  `,
  // Rosters to hand on to the sites, and who launched a run, for the plans.
  `
  CREATE TABLE rosters (
    version INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    document BLOB NOT NULL,
    published_at_ms INTEGER NOT NULL,
    published_by TEXT NOT NULL
  ) STRICT;
  ALTER TABLE runs ADD COLUMN launched_by TEXT NOT NULL DEFAULT '';
  `,
  // Each upload is signed by its site. Attempts from before cannot be finished; the next attempt can.
  `
  ALTER TABLE uploads ADD COLUMN signature BLOB NOT NULL DEFAULT x'';
  `,
  // Certificates are renewed: several of a site count at once. Until now only the newest did.
  `
  ALTER TABLE certificates ADD COLUMN request_digest BLOB;
  ALTER TABLE certificates ADD COLUMN revoked_at_ms INTEGER;
  UPDATE certificates SET revoked_at_ms = coalesce(
      (SELECT revoked_at_ms FROM sites WHERE sites.site_id = certificates.site_id),
      (SELECT max(issued_at_ms) FROM certificates AS newer WHERE newer.site_id = certificates.site_id)
    )
    WHERE site_id IN (SELECT site_id FROM sites WHERE revoked_at_ms IS NOT NULL)
      OR rowid NOT IN (
        SELECT rowid FROM (
          SELECT rowid, row_number() OVER (PARTITION BY site_id ORDER BY issued_at_ms DESC, rowid DESC) AS rank
          FROM certificates
        ) WHERE rank = 1
      );
  `,
  // What each attempt of a run that hides sites cost, whatever became of it.
  `
  CREATE TABLE privacy_releases (
    run_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    entry_json TEXT NOT NULL,
    PRIMARY KEY (run_id, round, attempt),
    FOREIGN KEY (run_id, round, attempt) REFERENCES rounds (run_id, round, attempt)
  ) STRICT;
  `,
  // Certificates of operators and researchers, so that they can be revoked. What was issued before is added as it is found.
  `
  CREATE TABLE person_certificates (
    serial TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    person_id TEXT NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
  ) STRICT;
  CREATE INDEX person_certificates_by_person ON person_certificates (person_id);
  `,
];

/**
 * Brings the database to the newest version.
 * @throws ConsiliumError "storage" when it was written by a newer program.
 */
export function migrate(database: Database, nowMs: number, steps: readonly string[] = migrations): void {
  database.exec(
    "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at_ms INTEGER NOT NULL) STRICT",
  );
  const applied = appliedVersion(database);
  if (applied > steps.length) {
    throw new ConsiliumError("storage", `the database has version ${applied}, this program knows ${steps.length}`, {
      remedy: "start the version of Consilium that last used this directory, or a newer one",
    });
  }
  const record = database.prepare<[number, number]>("INSERT INTO migrations (version, applied_at_ms) VALUES (?, ?)");
  for (let version = applied + 1; version <= steps.length; version++) {
    database.transaction(() => {
      database.exec(steps[version - 1]!);
      record.run(version, nowMs);
    })();
  }
}

/** How many of the steps the database has been through. Its table of them must exist. */
export function appliedVersion(database: Database): number {
  const newest = database.prepare<[], { version: number | null }>("SELECT max(version) AS version FROM migrations");
  return newest.get()?.version ?? 0;
}
