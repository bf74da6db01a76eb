import { ConsiliumError } from "@consilium/shared/errors.js";
import { type CertificateFacts, describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import { formatInstant } from "@consilium/shared/terminal/format.js";
import type { Profile } from "./profile.js";

const weekMs = 7 * 24 * 3_600_000;

/**
 * What to say while the certificate of these credentials still counts, but not for long: a week, or the last third of
 * a life that is shorter. Nothing otherwise: what is wrong with one that does not count, connecting tells.
 */
export function expiryWarning({ directory, tls }: Profile, nowMs: number): readonly string[] {
  const facts = readFacts(tls.certPem);
  if (facts === undefined) return [];
  const { notBeforeMs, notAfterMs, identity } = facts;
  const soonMs = Math.min(weekMs, (notAfterMs - notBeforeMs) / 3);
  if (notAfterMs <= nowMs || notAfterMs > nowMs + soonMs) return [];
  return [
    `warning: the certificate in ${directory} is good until ${formatInstant(notAfterMs)} only`,
    `  → the coordinator's operator makes a new folder with 'consilium coordinator credentials renew ${identity.id}'`,
  ];
}

function readFacts(certPem: string): CertificateFacts | undefined {
  try {
    return describeCertificate(certPem);
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) return undefined;
    throw thrown;
  }
}
