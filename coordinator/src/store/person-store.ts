/** Which certificates people were given. Only these count for their calls. Every write is durable when the call returns. */

export const personRoles = ["operator", "researcher"] as const;
export type PersonRole = (typeof personRoles)[number];

export interface PersonCertificate {
  /** Upper-case hex. */
  readonly serial: string;
  readonly role: PersonRole;
  readonly personId: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Since when it counts no more although it has not expired. */
  readonly revokedAtMs: number | null;
}

/** "last-operator": nothing was changed, since nobody could have revoked, invited or issued by a call any more. */
export type RevokeOutcome = "revoked" | "last-operator";

export interface PersonStore {
  add(certificate: PersonCertificate): void;
  find(serial: string): PersonCertificate | undefined;
  /** Each person's in the order of issue, people by their id. */
  list(): PersonCertificate[];
  /** Those that were revoked and have not expired. */
  listRevoked(nowMs: number): PersonCertificate[];
  /** Ends all certificates of a person, unless no other operator would be left with one that counts. */
  revoke(personId: string, nowMs: number): RevokeOutcome;
}
