import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { StoreDatabase } from "./database.js";
import type {
  AttemptRow,
  AttemptStep,
  ResultRow,
  RunRow,
  RunStatus,
  RunStore,
  StageMessage,
  StageName,
  UploadRow,
} from "./run-store.js";

const runColumns = `run_id AS runId, request_id AS requestId, name, config_json AS configJson, status, reason,
  checkpoint_digest AS checkpointDigest, initial_digest AS initialDigest, created_at_ms AS createdAtMs,
  updated_at_ms AS updatedAtMs, launched_by AS launchedBy`;
const attemptColumns = `run_id AS runId, round, attempt, kind, state_json AS stateJson, plan_body AS planBody,
  plan_signature AS planSignature, parent_digest AS parentDigest, record_json AS recordJson`;
const messageColumns = "site_id AS siteId, stage, digest, bytes";
const uploadColumns = "site_id AS siteId, path, bytes, sha256, signature";
const ofAttempt = "run_id = ? AND round = ? AND attempt = ?";

type AttemptColumns = Omit<AttemptRow, "key"> & RoundKey;
type KeyValues = [string, number, number];
type CommittedRun = Pick<RunRow, "runId" | "status" | "reason" | "checkpointDigest"> & { readonly nowMs: number };

export function createRunStore(database: StoreDatabase): RunStore {
  const sql = prepareStatements(database);
  const findRun = (runId: string): RunRow | undefined => sql.findRun.get(runId);
  return {
    addRun(row) {
      sql.addRun.run(row);
      return sql.findRunByRequest.get(row.requestId)!;
    },
    findRun,
    findRunByRequest: (requestId) => sql.findRunByRequest.get(requestId),
    listRuns: () => sql.listRuns.all(),
    setRunStatus(runId, { status, reason, nowMs }) {
      sql.setRunStatus.run({ runId, status, reason, nowMs });
    },
    addAttempt: ({ key, ...row }) => void sql.addAttempt.run({ ...row, ...key }),
    findAttempt: (key) => attemptRow(sql.findAttempt.get(...valuesOf(key))),
    newestAttempt: (runId) => attemptRow(sql.newestAttempt.get(runId)),
    advance: database.transaction((step: AttemptStep) => advance(sql, step)),
    listReleases: (runId) => sql.listReleases.all(runId).map((row) => row.entryJson),
    listRecords: (runId) => sql.listRecords.all(runId).map((row) => row.recordJson),
    listResults: (runId, fromRound) => sql.listResults.all(runId, fromRound),
    findMessage: (key, siteId, stage) => sql.findMessage.get(...valuesOf(key), siteId, stage),
    listMessages: (key, stage) => sql.listMessages.all(...valuesOf(key), stage),
    findUpload: (key, siteId) => sql.findUpload.get(...valuesOf(key), siteId),
    listUploads: (key) => sql.listUploads.all(...valuesOf(key)),
    eraseMessages: database.transaction((key: RoundKey) => {
      sql.eraseMessages.run(...valuesOf(key));
      sql.eraseUploads.run(...valuesOf(key));
    }),
    addEvent({ atMs, kind, fields }) {
      sql.addEvent.run(atMs, kind, JSON.stringify(fields));
    },
  };
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: StoreDatabase) {
  return { ...runStatements(database), ...attemptStatements(database), ...messageStatements(database) };
}

function runStatements(database: StoreDatabase) {
  return {
    addRun: database.prepare<[RunRow]>(
      `INSERT INTO runs (run_id, request_id, name, config_json, status, reason, checkpoint_digest, initial_digest,
         created_at_ms, updated_at_ms, launched_by)
       VALUES (:runId, :requestId, :name, :configJson, :status, :reason, :checkpointDigest, :initialDigest,
         :createdAtMs, :updatedAtMs, :launchedBy)
       ON CONFLICT (request_id) DO NOTHING`,
    ),
    findRun: database.prepare<[string], RunRow>(`SELECT ${runColumns} FROM runs WHERE run_id = ?`),
    findRunByRequest: database.prepare<[string], RunRow>(`SELECT ${runColumns} FROM runs WHERE request_id = ?`),
    listRuns: database.prepare<[], RunRow>(`SELECT ${runColumns} FROM runs ORDER BY rowid`),
    setRunStatus: database.prepare<[{ runId: string; status: RunStatus; reason: string; nowMs: number }]>(
      "UPDATE runs SET status = :status, reason = :reason, updated_at_ms = :nowMs WHERE run_id = :runId",
    ),
    commitRun: database.prepare<[CommittedRun]>(
      `UPDATE runs SET status = :status, reason = :reason, checkpoint_digest = :checkpointDigest, updated_at_ms = :nowMs
       WHERE run_id = :runId`,
    ),
    touchRun: database.prepare<[number, string]>("UPDATE runs SET updated_at_ms = ? WHERE run_id = ?"),
    addEvent: database.prepare<[number, string, string]>(
      "INSERT INTO events (at_ms, kind, fields_json) VALUES (?, ?, ?)",
    ),
  };
}

function attemptStatements(database: StoreDatabase) {
  return {
    addAttempt: database.prepare<[AttemptColumns]>(
      `INSERT INTO rounds (run_id, round, attempt, kind, state_json, plan_body, plan_signature, parent_digest,
         record_json)
       VALUES (:runId, :round, :attempt, :kind, :stateJson, :planBody, :planSignature, :parentDigest, :recordJson)`,
    ),
    findAttempt: database.prepare<KeyValues, AttemptColumns>(`SELECT ${attemptColumns} FROM rounds WHERE ${ofAttempt}`),
    newestAttempt: database.prepare<[string], AttemptColumns>(
      `SELECT ${attemptColumns} FROM rounds WHERE run_id = ? ORDER BY round DESC, attempt DESC LIMIT 1`,
    ),
    setAttempt: database.prepare<[string, string, string | null, Uint8Array | null, Uint8Array | null, ...KeyValues]>(
      `UPDATE rounds SET kind = ?, state_json = ?, record_json = ?, result_body = ?, result_signature = ?
       WHERE ${ofAttempt} AND record_json IS NULL`,
    ),
    addRelease: database.prepare<[...KeyValues, string]>(
      "INSERT INTO privacy_releases (run_id, round, attempt, entry_json) VALUES (?, ?, ?, ?)",
    ),
    listReleases: database.prepare<[string], { entryJson: string }>(
      "SELECT entry_json AS entryJson FROM privacy_releases WHERE run_id = ? ORDER BY round, attempt",
    ),
    listRecords: database.prepare<[string], { recordJson: string }>(
      "SELECT record_json AS recordJson FROM rounds WHERE run_id = ? AND record_json IS NOT NULL ORDER BY round",
    ),
    listResults: database.prepare<[string, number], ResultRow>(
      `SELECT round, result_body AS body, result_signature AS signature FROM rounds
       WHERE run_id = ? AND round >= ? AND result_body IS NOT NULL ORDER BY round`,
    ),
  };
}

function messageStatements(database: StoreDatabase) {
  return {
    addMessage: database.prepare<[...KeyValues, string, StageName, Uint8Array, Uint8Array]>(
      `INSERT INTO stage_messages (run_id, round, attempt, site_id, stage, digest, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    findMessage: database.prepare<[...KeyValues, string, StageName], StageMessage>(
      `SELECT ${messageColumns} FROM stage_messages WHERE ${ofAttempt} AND site_id = ? AND stage = ?`,
    ),
    listMessages: database.prepare<[...KeyValues, StageName], StageMessage>(
      `SELECT ${messageColumns} FROM stage_messages WHERE ${ofAttempt} AND stage = ? ORDER BY site_id`,
    ),
    eraseMessages: database.prepare<KeyValues>(`DELETE FROM stage_messages WHERE ${ofAttempt}`),
    addUpload: database.prepare<[...KeyValues, string, string, number, Uint8Array, Uint8Array]>(
      `INSERT INTO uploads (run_id, round, attempt, site_id, path, bytes, sha256, signature)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    findUpload: database.prepare<[...KeyValues, string], UploadRow>(
      `SELECT ${uploadColumns} FROM uploads WHERE ${ofAttempt} AND site_id = ?`,
    ),
    listUploads: database.prepare<KeyValues, UploadRow>(
      `SELECT ${uploadColumns} FROM uploads WHERE ${ofAttempt} ORDER BY site_id`,
    ),
    eraseUploads: database.prepare<KeyValues>(`DELETE FROM uploads WHERE ${ofAttempt}`),
  };
}

function advance(sql: Statements, step: AttemptStep): void {
  const { key, message, upload, commit, nowMs } = step;
  const committed = [
    commit?.recordJson ?? null,
    commit?.result.body ?? null,
    commit?.result.signature ?? null,
  ] as const;
  const changed = sql.setAttempt.run(step.kind, step.stateJson, ...committed, ...valuesOf(key)).changes;
  if (changed !== 1) {
    throw new ConsiliumError("stale", `attempt ${key.runId}/${key.round}/${key.attempt} is committed or unknown`);
  }
  if (message !== undefined) {
    sql.addMessage.run(...valuesOf(key), message.siteId, message.stage, message.digest, message.bytes);
  }
  if (upload !== undefined) {
    const { siteId, path, bytes, sha256, signature } = upload;
    sql.addUpload.run(...valuesOf(key), siteId, path, bytes, sha256, signature);
  }
  if (step.release !== undefined) sql.addRelease.run(...valuesOf(key), step.release);
  if (commit !== undefined) {
    const { checkpointDigest, status, reason } = commit;
    sql.commitRun.run({ runId: key.runId, checkpointDigest, status, reason, nowMs });
  } else if (step.run !== undefined) {
    sql.setRunStatus.run({ runId: key.runId, ...step.run, nowMs });
  } else {
    sql.touchRun.run(nowMs, key.runId);
  }
}

function valuesOf(key: RoundKey): KeyValues {
  return [key.runId, key.round, key.attempt];
}

function attemptRow(columns: AttemptColumns | undefined): AttemptRow | undefined {
  if (columns === undefined) return undefined;
  const { runId, round, attempt, ...row } = columns;
  return { ...row, key: { runId, round, attempt } };
}
