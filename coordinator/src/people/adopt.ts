import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import {
  issuerAmong,
  parseAuthorities,
  parseCertificate,
  readLeaf,
} from "@consilium/shared/identity/certificate-check.js";
import { type PersonCertificate, type PersonStore, personRoles } from "../store/person-store.js";

/**
 * For a home from before people's certificates were written down: takes those that lie in its folders of credentials for
 * issued. Does nothing once any is written down, so that nothing that was revoked comes back.
 * @returns whose were found
 */
export function adoptCredentials(
  authority: CertificateAuthority,
  store: PersonStore,
  folders: readonly string[],
): PersonCertificate[] {
  if (store.list().length > 0) return [];
  const found = folders.flatMap((folder) => certificateIn(folder, authority) ?? []);
  for (const certificate of found) store.add(certificate);
  return found;
}

function certificateIn(folder: string, authority: CertificateAuthority): PersonCertificate | undefined {
  const path = join(folder, "cert.pem");
  if (!existsSync(path)) return undefined;
  try {
    const certificate = parseCertificate(readFileSync(path, "utf8"));
    issuerAmong(parseAuthorities(authority.trustPem), certificate);
    const { identity, serial, notBeforeMs: issuedAtMs, notAfterMs: expiresAtMs } = readLeaf(certificate);
    const role = personRoles.find((known) => known === identity.role);
    if (role === undefined || identity.federation !== authority.federation) return undefined;
    return { serial, role, personId: identity.id, issuedAtMs, expiresAtMs, revokedAtMs: null };
  } catch (thrown) {
    if (thrown instanceof ConsiliumError && thrown.code === "certificate-refused") return undefined;
    throw thrown;
  }
}
