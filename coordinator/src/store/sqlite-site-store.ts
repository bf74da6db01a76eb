import { type StoreDatabase, withoutSync } from "./database.js";
import type { AuditHead, CertificateRow, Enrolment, InvitationRow, SiteRow, SiteStore } from "./site-store.js";

const siteColumns = `site_id AS siteId, identity_key AS identityKey, enrolled_at_ms AS enrolledAtMs,
  revoked_at_ms AS revokedAtMs, last_seen_ms AS lastSeenMs, agent_version AS agentVersion, audit_head AS auditHead`;
const invitationColumns = `token_hash AS tokenHash, site_id AS siteId, created_at_ms AS createdAtMs,
  expires_at_ms AS expiresAtMs, consumed_at_ms AS consumedAtMs, request_digest AS requestDigest,
  certificate_pem AS certificatePem`;
const certificateColumns = `serial, site_id AS siteId, pem, issued_at_ms AS issuedAtMs, expires_at_ms AS expiresAtMs,
  request_digest AS requestDigest, revoked_at_ms AS revokedAtMs`;

export function createSiteStore(database: StoreDatabase): SiteStore {
  const sql = prepareStatements(database);
  return {
    findSite: (siteId) => sql.findSite.get(siteId),
    listSites: () => sql.listSites.all(),
    enrol: database.transaction((enrolments: readonly Enrolment[]) =>
      enrolments.map((enrolment) => enrol(sql, enrolment)),
    ),
    revokeSite: database.transaction((siteId: string, nowMs: number) => {
      sql.revokeSite.run(nowMs, siteId);
      sql.revokeCertificates.run(nowMs, siteId);
      sql.withdrawInvitations.run(siteId);
    }),
    seen: (siteId, { nowMs, agentVersion }) => withoutSync(database, () => sql.seen.run(nowMs, agentVersion, siteId)),
    keepAuditHeads: database.transaction((heads: readonly AuditHead[]) => {
      for (const { siteId, head } of heads) sql.keepAuditHead.run(head, siteId);
    }),
    addInvitation: (row) => void sql.addInvitation.run(row),
    listInvitations: (siteId) => sql.listInvitations.all(siteId),
    listInvitedSites: (nowMs) => sql.listInvitedSites.all(nowMs),
    newestCertificate: (siteId) => sql.newestCertificate.get(siteId),
    findCertificate: (serial) => sql.findCertificate.get(serial),
    currentCertificates: (siteId, nowMs) => sql.currentCertificates.all(siteId, nowMs),
    revokedCertificates: (nowMs) => sql.revokedCertificates.all(nowMs),
    addCertificate: database.transaction((row: CertificateRow) => {
      const site = sql.findSite.get(row.siteId);
      if (site === undefined || site.revokedAtMs !== null) return false;
      sql.addCertificate.run(row);
      return true;
    }),
    lastExpiryMs: () => sql.lastExpiry.get()?.expiresAtMs ?? undefined,
  };
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: StoreDatabase) {
  return {
    findSite: database.prepare<[string], SiteRow>(`SELECT ${siteColumns} FROM sites WHERE site_id = ?`),
    listSites: database.prepare<[], SiteRow>(`SELECT ${siteColumns} FROM sites ORDER BY site_id`),
    // A site that enrols anew (lost its disk, or was revoked and invited again) gets its new identity key.
    addSite: database.prepare<[string, Uint8Array, number]>(
      `INSERT INTO sites (site_id, identity_key, enrolled_at_ms) VALUES (?, ?, ?)
       ON CONFLICT (site_id) DO UPDATE SET identity_key = excluded.identity_key,
         enrolled_at_ms = excluded.enrolled_at_ms, revoked_at_ms = NULL`,
    ),
    revokeSite: database.prepare<[number, string]>("UPDATE sites SET revoked_at_ms = ? WHERE site_id = ?"),
    seen: database.prepare<[number, string, string]>(
      "UPDATE sites SET last_seen_ms = ?, agent_version = ? WHERE site_id = ?",
    ),
    keepAuditHead: database.prepare<[Uint8Array, string]>("UPDATE sites SET audit_head = ? WHERE site_id = ?"),
    addInvitation: database.prepare<[InvitationRow]>(
      `INSERT INTO invitations (token_hash, site_id, created_at_ms, expires_at_ms, consumed_at_ms, request_digest,
         certificate_pem)
       VALUES (:tokenHash, :siteId, :createdAtMs, :expiresAtMs, :consumedAtMs, :requestDigest, :certificatePem)`,
    ),
    withdrawInvitations: database.prepare<[string]>(
      "DELETE FROM invitations WHERE site_id = ? AND consumed_at_ms IS NULL",
    ),
    consume: database.prepare<[number, Uint8Array, string, string]>(
      `UPDATE invitations SET consumed_at_ms = ?, request_digest = ?, certificate_pem = ?
       WHERE token_hash = ? AND consumed_at_ms IS NULL`,
    ),
    listInvitations: database.prepare<[string], InvitationRow>(
      `SELECT ${invitationColumns} FROM invitations WHERE site_id = ? ORDER BY created_at_ms DESC, rowid DESC`,
    ),
    listInvitedSites: database.prepare<[number], { siteId: string; expiresAtMs: number }>(
      `SELECT site_id AS siteId, max(expires_at_ms) AS expiresAtMs FROM invitations
       WHERE consumed_at_ms IS NULL AND expires_at_ms > ? GROUP BY site_id ORDER BY site_id`,
    ),
    addCertificate: database.prepare<[CertificateRow]>(
      `INSERT INTO certificates (serial, site_id, pem, issued_at_ms, expires_at_ms, request_digest, revoked_at_ms)
       VALUES (:serial, :siteId, :pem, :issuedAtMs, :expiresAtMs, :requestDigest, :revokedAtMs)`,
    ),
    revokeCertificates: database.prepare<[number, string]>(
      "UPDATE certificates SET revoked_at_ms = ? WHERE site_id = ? AND revoked_at_ms IS NULL",
    ),
    findCertificate: database.prepare<[string], CertificateRow>(
      `SELECT ${certificateColumns} FROM certificates WHERE serial = ?`,
    ),
    currentCertificates: database.prepare<[string, number], CertificateRow>(
      `SELECT ${certificateColumns} FROM certificates
       WHERE site_id = ? AND revoked_at_ms IS NULL AND expires_at_ms > ? ORDER BY issued_at_ms, rowid`,
    ),
    revokedCertificates: database.prepare<[number], CertificateRow>(
      `SELECT ${certificateColumns} FROM certificates
       WHERE revoked_at_ms IS NOT NULL AND expires_at_ms > ? ORDER BY revoked_at_ms, rowid`,
    ),
    lastExpiry: database.prepare<[], { expiresAtMs: number | null }>(
      "SELECT max(expires_at_ms) AS expiresAtMs FROM certificates WHERE revoked_at_ms IS NULL",
    ),
    newestCertificate: database.prepare<[string], CertificateRow>(
      `SELECT ${certificateColumns} FROM certificates WHERE site_id = ? ORDER BY issued_at_ms DESC, rowid DESC LIMIT 1`,
    ),
  };
}

function enrol(
  sql: Statements,
  { tokenHash, requestDigest, siteId, identityKey, certificate, nowMs }: Enrolment,
): number | undefined {
  if (sql.consume.run(nowMs, requestDigest, certificate.pem, tokenHash).changes !== 1) return undefined;
  sql.addSite.run(siteId, identityKey, nowMs);
  const replaced = sql.revokeCertificates.run(nowMs, siteId).changes;
  sql.addCertificate.run(certificate);
  return replaced;
}
