import type { StoreDatabase } from "./database.js";
import type { PersonCertificate, PersonStore } from "./person-store.js";

const columns = `serial, role, person_id AS personId, issued_at_ms AS issuedAtMs, expires_at_ms AS expiresAtMs,
  revoked_at_ms AS revokedAtMs`;

export function createPersonStore(database: StoreDatabase): PersonStore {
  const sql = prepareStatements(database);
  const revoke = database.transaction((personId: string, nowMs: number) => {
    const rules = sql.operatorsThatCount.all(nowMs).map((row) => row.personId);
    if (rules.includes(personId) && rules.every((id) => id === personId)) return "last-operator";
    sql.revoke.run(nowMs, personId);
    return "revoked";
  });
  return {
    add: (certificate) => void sql.add.run(certificate),
    find: (serial) => sql.find.get(serial),
    list: () => sql.list.all(),
    listRevoked: (nowMs) => sql.listRevoked.all(nowMs),
    // Commands write beside a coordinator that runs, and beside each other: what is read here must still hold at the write.
    revoke: (personId, nowMs) => revoke.immediate(personId, nowMs),
  };
}

function prepareStatements(database: StoreDatabase) {
  return {
    add: database.prepare<[PersonCertificate]>(
      `INSERT INTO person_certificates (serial, role, person_id, issued_at_ms, expires_at_ms, revoked_at_ms)
       VALUES (:serial, :role, :personId, :issuedAtMs, :expiresAtMs, :revokedAtMs)`,
    ),
    find: database.prepare<[string], PersonCertificate>(`SELECT ${columns} FROM person_certificates WHERE serial = ?`),
    list: database.prepare<[], PersonCertificate>(
      `SELECT ${columns} FROM person_certificates ORDER BY person_id, issued_at_ms, rowid`,
    ),
    listRevoked: database.prepare<[number], PersonCertificate>(
      `SELECT ${columns} FROM person_certificates
       WHERE revoked_at_ms IS NOT NULL AND expires_at_ms > ? ORDER BY revoked_at_ms, rowid`,
    ),
    operatorsThatCount: database.prepare<[number], { personId: string }>(
      `SELECT DISTINCT person_id AS personId FROM person_certificates
       WHERE role = 'operator' AND revoked_at_ms IS NULL AND expires_at_ms > ?`,
    ),
    revoke: database.prepare<[number, string]>(
      "UPDATE person_certificates SET revoked_at_ms = ? WHERE person_id = ? AND revoked_at_ms IS NULL",
    ),
  };
}
