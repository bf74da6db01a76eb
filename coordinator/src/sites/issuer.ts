import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import type { IssuedCertificate } from "./enrolment.js";

const validForMs = 365 * 24 * 3_600_000;

/** Issues a site's certificate. Only the request's public key is used; who the site is comes from its invitation. */
export function siteIssuer(authority: CertificateAuthority) {
  return ({ csrPem, siteId }: { csrPem: string; siteId: string }): IssuedCertificate => {
    const { certificatePem, serial, notAfterMs } = authority.issueLeaf({
      identity: { federation: authority.federation, role: "site", id: siteId },
      publicKeyPem: publicKeyOfRequest(csrPem),
      validForMs,
    });
    return { pem: certificatePem, serial, expiresAtMs: notAfterMs };
  };
}
