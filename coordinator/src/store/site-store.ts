/** What the coordinator remembers about sites, their invitations and certificates. Writes are durable on return unless they say otherwise. */

export interface SiteRow {
  readonly siteId: string;
  /** Raw Ed25519 key, 32 bytes. */
  readonly identityKey: Uint8Array;
  readonly enrolledAtMs: number;
  readonly revokedAtMs: number | null;
  readonly lastSeenMs: number;
  readonly agentVersion: string;
  /** Hash of the newest checkpoint of its audit log that the site reported, 32 bytes. */
  readonly auditHead: Uint8Array | null;
}

export interface InvitationRow {
  /** SHA-256 of the secret token, hex; the token itself is never stored. */
  readonly tokenHash: string;
  readonly siteId: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly consumedAtMs: number | null;
  /** SHA-256 over the request that consumed it, so that only the same request is answered again. */
  readonly requestDigest: Uint8Array | null;
  readonly certificatePem: string | null;
}

export interface CertificateRow {
  readonly serial: string;
  readonly siteId: string;
  readonly pem: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** SHA-256 of the request for a renewal, so that the same request gets the same certificate; null for an enrolment. */
  readonly requestDigest: Uint8Array | null;
  /** Since when it counts no more although it has not expired: the site was revoked, or joined again. */
  readonly revokedAtMs: number | null;
}

export interface Enrolment {
  readonly tokenHash: string;
  readonly requestDigest: Uint8Array;
  readonly siteId: string;
  readonly identityKey: Uint8Array;
  readonly certificate: CertificateRow;
  readonly nowMs: number;
}

export interface AuditHead {
  readonly siteId: string;
  readonly head: Uint8Array;
}

export interface SiteStore {
  findSite(siteId: string): SiteRow | undefined;
  listSites(): SiteRow[];
  /**
   * Consumes each invitation, adds the site and its only certificate that counts: all or nothing. Returns for each how many
   * certificates of the site count no more; undefined where the invitation was consumed already, and nothing is changed.
   */
  enrol(enrolments: readonly Enrolment[]): (number | undefined)[];
  /** Ends the membership of a site and all its certificates. */
  revokeSite(siteId: string, nowMs: number): void;
  /** The only write that the loss of power may undo: it is worth no wait for the disk. */
  seen(siteId: string, change: { nowMs: number; agentVersion: string }): void;
  /** All of them together; of one site the last. A site that is not known has none. */
  keepAuditHeads(heads: readonly AuditHead[]): void;
  addInvitation(row: InvitationRow): void;
  /** Open and consumed invitations for a site, newest first. */
  listInvitations(siteId: string): InvitationRow[];
  /** Sites with an invitation that is neither consumed nor expired. */
  listInvitedSites(nowMs: number): { siteId: string; expiresAtMs: number }[];
  newestCertificate(siteId: string): CertificateRow | undefined;
  findCertificate(serial: string): CertificateRow | undefined;
  /** Those that are neither revoked nor expired. */
  currentCertificates(siteId: string, nowMs: number): CertificateRow[];
  /** Those of all sites that were revoked and have not expired. */
  revokedCertificates(nowMs: number): CertificateRow[];
  /** False, and nothing is added, where the site is unknown or revoked. */
  addCertificate(row: CertificateRow): boolean;
  /** When the last certificate that counts expires; undefined where there is none. */
  lastExpiryMs(): number | undefined;
}
