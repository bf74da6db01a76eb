import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import type { TlsBundle } from "./key-files.js";
import { identityUri, type PeerIdentity, parsePeerIdentity } from "./peer-identity.js";
import { assertTlsKey } from "./tls-key.js";

/** What a leaf certificate says, once its form has been checked. */
export interface CertificateFacts {
  readonly identity: PeerIdentity;
  /** Upper-case hex. */
  readonly serial: string;
  /** SHA-256 of the DER form, hex. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const clientAuth = "1.3.6.1.5.5.7.3.2";
const serverAuth = "1.3.6.1.5.5.7.3.1";
const largestCertificate = 16 * 1024;

export function fingerprintOf(certificate: X509Certificate): string {
  return createHash("sha256").update(certificate.raw).digest("hex");
}

/**
 * Reads a leaf of this system: not a CA, RSA-3072, one SAN URI, and exactly the extended key usage of its role.
 * Does not look at its issuer or dates. Throws certificate-refused.
 */
export function readLeaf(certificate: X509Certificate): CertificateFacts {
  const identity = parsePeerIdentity(certificate);
  const wanted = identity.role === "coordinator" ? serverAuth : clientAuth;
  // site-check: leaf-not-authority
  if (certificate.ca) throw refused("it is a certificate authority, not a leaf");
  // site-check: leaf-key
  assertTlsKey(certificate.publicKey);
  // Node names the extended key usage `keyUsage`.
  const usage: readonly string[] | undefined = certificate.keyUsage;
  // site-check: leaf-usage
  if (usage?.length !== 1 || usage[0] !== wanted)
    throw refused(`its extended key usage does not fit a ${identity.role}`);
  return {
    identity,
    serial: certificate.serialNumber,
    fingerprint: fingerprintOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** Throws certificate-refused outside the certificate's own dates. */
export function assertValidAt({ notBeforeMs, notAfterMs }: CertificateFacts, nowMs: number): void {
  if (nowMs < notBeforeMs) throw refused(`it is not valid before ${new Date(notBeforeMs).toISOString()}`);
  if (nowMs > notAfterMs) throw refused(`it expired on ${new Date(notAfterMs).toISOString()}`);
}

/** Parses with OpenSSL. Throws certificate-refused for anything that is not one certificate of sensible size. */
export function parseCertificate(certificate: string | Uint8Array): X509Certificate {
  if (certificate.length > largestCertificate) throw refused("it is longer than 16 KiB");
  try {
    const parsed = new X509Certificate(certificate);
    // A key that OpenSSL cannot read is found only when it is asked for.
    void parsed.publicKey;
    return parsed;
  } catch (cause) {
    throw refused("it cannot be read", cause);
  }
}

export function describeCertificate(certPem: string): CertificateFacts {
  return readLeaf(parseCertificate(certPem));
}

/**
 * Whether a process may use this bundle as its own: issued by one of its CAs, fits its key, says who it should, valid
 * now.
 * Throws certificate-refused with the first reason why not.
 */
export function checkBundle(bundle: TlsBundle, expected: { identity: PeerIdentity; nowMs: number }): CertificateFacts {
  const certificate = parseCertificate(bundle.certPem);
  issuerAmong(parseAuthorities(bundle.caPem), certificate);
  if (!certificate.checkPrivateKey(privateKey(bundle.keyPem)))
    throw refused("the private key beside it is another one");
  const facts = readLeaf(certificate);
  if (identityUri(facts.identity) !== identityUri(expected.identity)) {
    throw refused(`it is for ${identityUri(facts.identity)}, not ${identityUri(expected.identity)}`);
  }
  assertValidAt(facts, expected.nowMs);
  return facts;
}

/** During a rollover two count. */
const mostAuthorities = 4;
const pemBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*/g;

/** The CAs that a trust bundle names, in its order. Throws certificate-refused. */
export function parseAuthorities(caPem: string): X509Certificate[] {
  if (caPem.length > mostAuthorities * largestCertificate) throw refused("its authorities are longer than 64 KiB");
  const blocks = caPem.match(pemBlock) ?? [];
  if (blocks.length === 0) throw refused("its authority cannot be read");
  if (blocks.length > mostAuthorities) throw refused(`it comes with more than ${mostAuthorities} authorities`);
  return blocks.map((block) => parseCertificate(block));
}

/** The CA of these that issued the certificate. Throws certificate-refused where none did. */
export function issuerAmong(authorities: readonly X509Certificate[], certificate: X509Certificate): X509Certificate {
  const issuer = authorities.find((ca) => ca.ca && certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
  // site-check: certificate-issuer
  if (issuer === undefined) throw refused("it was not issued by this federation's certificate authority");
  return issuer;
}

/** Throws certificate-refused. */
export function assertIssuedBy(certificate: X509Certificate, ca: X509Certificate): void {
  issuerAmong([ca], certificate);
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw refused("the private key beside it cannot be read", cause);
  }
}

function refused(reason: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("certificate-refused", `The certificate is refused: ${reason}.`, {
    remedy: "Use the certificate that this federation's coordinator issued, or enrol again.",
    cause,
  });
}
