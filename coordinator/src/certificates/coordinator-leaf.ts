import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import type { IssuedCertificate } from "@consilium/shared/identity/issue-leaf.js";

/** The coordinator's own certificate. @param host name or address that sites dial; loopback works besides */
export function issueCoordinatorLeaf(
  authority: CertificateAuthority,
  { host, publicKeyPem, validForMs }: { host: string; publicKeyPem: string; validForMs: number },
): IssuedCertificate {
  const isAddress = isIP(host) !== 0;
  return authority.issueServerLeaf({
    identity: { federation: authority.federation, role: "coordinator", id: "coordinator" },
    publicKeyPem,
    validForMs,
    dnsNames: [...new Set([...(isAddress ? [] : [host]), "localhost"])],
    ipAddresses: [...new Set([...(isAddress ? [host] : []), "127.0.0.1"])],
  });
}

/** Whether who dials this name or address accepts the certificate. */
export function namesHost(certificatePem: string, host: string): boolean {
  const certificate = new X509Certificate(certificatePem);
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}
