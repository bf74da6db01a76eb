import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import type { IssuedCertificate } from "./enrolment.js";

export type IssueSiteCertificate = (request: { csrPem: string; siteId: string }) => IssuedCertificate;

/** Issues a site's certificate. Only the request's public key is used; who the site is, the caller knows. */
export function siteIssuer(authority: CertificateAuthority, validForMs: number): IssueSiteCertificate {
  return ({ csrPem, siteId }) => {
    const { certificatePem, serial, notAfterMs } = authority.issueLeaf({
      identity: { federation: authority.federation, role: "site", id: siteId },
      publicKeyPem: publicKeyOfRequest(csrPem),
      validForMs,
    });
    return { pem: certificatePem, serial, expiresAtMs: notAfterMs };
  };
}
