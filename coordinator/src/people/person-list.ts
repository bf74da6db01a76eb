import type { PersonCertificate, PersonRole } from "../store/person-store.js";

/** One person, as the newest of its certificates says. */
export interface PersonSummary {
  readonly id: string;
  readonly role: PersonRole;
  readonly status: "valid" | "expired" | "revoked";
  readonly expiresAtMs: number;
  /** How many of its certificates count. */
  readonly certificates: number;
}

/** @param certificates as the store lists them */
export function summariseCertificates(certificates: readonly PersonCertificate[], nowMs: number): PersonSummary[] {
  const newest = new Map(certificates.map((certificate) => [certificate.personId, certificate]));
  return [...newest.values()].map(({ personId, role, revokedAtMs }) => {
    const own = certificates.filter((certificate) => certificate.personId === personId);
    const counting = own.filter((certificate) => certificate.revokedAtMs === null && certificate.expiresAtMs > nowMs);
    const status = revokedAtMs !== null ? "revoked" : counting.length > 0 ? "valid" : "expired";
    const expiresAtMs = Math.max(
      ...(counting.length > 0 ? counting : own).map((certificate) => certificate.expiresAtMs),
    );
    return { id: personId, role, status, expiresAtMs, certificates: counting.length };
  });
}
