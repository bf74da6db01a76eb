import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import forge from "node-forge";
import type { Clock } from "../clock.js";
import type { Entropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { fingerprintOf } from "./certificate-check.js";
import { signDraft } from "./forge-signer.js";
import { assertIdentity, identityUri, type PeerIdentity } from "./peer-identity.js";
import { assertTlsKey, canonicalPublicKey } from "./tls-key.js";

export interface LeafRequest {
  readonly identity: PeerIdentity;
  readonly publicKeyPem: string;
  readonly validForMs: number;
  /** Only for a coordinator: the names and addresses that sites dial. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Hex, as X509Certificate.serialNumber gives it. */
  readonly serial: string;
  /** SHA-256 of the DER form, hex. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A certificate of a CA and its key. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  /** The same certificate, read once for all leaves. */
  readonly parent: forge.pki.Certificate;
}

/** Throws where key and certificate differ, or cannot be read. */
export function issuerOf(certificatePem: string, keyPem: string): Issuer {
  const certificate = new X509Certificate(certificatePem);
  const key = createPrivateKey(keyPem);
  if (!certificate.checkPrivateKey(key)) throw new Error("key and certificate differ");
  return { certificate, key, parent: forge.pki.certificateFromPem(certificate.toString()) };
}

/** What issuing takes from around it. */
export interface IssuingSurroundings {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** Clocks of hospitals differ by minutes. */
const mostBackdatedMs = 5 * 60_000;

/** Throws config-invalid for an identity that cannot be written, or names that do not fit its role. */
export function issueLeaf(request: LeafRequest, issuer: Issuer, surroundings: IssuingSurroundings): IssuedCertificate {
  assertLeaf(request);
  const publicKeyPem = canonicalPublicKey(request.publicKeyPem);
  const leaf = draft({ publicKeyPem, validForMs: request.validForMs, ...surroundings });
  leaf.setSubject([{ name: "commonName", value: request.identity.id }]);
  leaf.setIssuer(issuer.parent.subject.attributes);
  leaf.setExtensions(leafExtensions(request, issuer.parent));
  signDraft(leaf, issuer.key);
  return issued(toPem(leaf), issuer.certificate);
}

/** A CA's own certificate, in PEM: allowed to issue leaves and revocation lists, no other CA. */
export function selfSigned(
  options: { name: string; key: KeyObject; publicKeyPem: string; validForMs: number } & IssuingSurroundings,
): string {
  const certificate = draft(options);
  const name = [{ name: "commonName", value: options.name }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  signDraft(certificate, options.key);
  return toPem(certificate);
}

function assertLeaf({ identity, dnsNames = [], ipAddresses = [] }: LeafRequest): void {
  assertIdentity(identity);
  if (identity.role !== "coordinator" && dnsNames.length + ipAddresses.length > 0) {
    throw new ConsiliumError("config-invalid", `A ${identity.role}'s certificate carries no DNS name or address.`);
  }
}

function draft(options: { publicKeyPem: string; validForMs: number } & IssuingSurroundings) {
  const { publicKeyPem, validForMs, clock, entropy } = options;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKeyPem);
  certificate.serialNumber = randomSerial(entropy);
  // A certificate of a minute must not be as old as five from the start.
  certificate.validity.notBefore = new Date(clock.now() - Math.min(mostBackdatedMs, validForMs / 10));
  certificate.validity.notAfter = new Date(clock.now() + validForMs);
  return certificate;
}

/** 16 bytes with the top bits 01: positive, never shortened, 126 random bits. */
function randomSerial(entropy: Entropy): string {
  const bytes = Buffer.from(entropy.bytes(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function leafExtensions(request: LeafRequest, ca: forge.pki.Certificate): object[] {
  const { identity, dnsNames = [], ipAddresses = [] } = request;
  const usage = identity.role === "coordinator" ? { serverAuth: true } : { clientAuth: true };
  const altNames = [
    { type: 6, value: identityUri(identity) },
    ...dnsNames.map((value) => ({ type: 2, value })),
    ...ipAddresses.map((ip) => ({ type: 7, ip })),
  ];
  return [
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, critical: true },
    { name: "extKeyUsage", ...usage },
    { name: "subjectAltName", altNames },
    { name: "subjectKeyIdentifier" },
    { name: "authorityKeyIdentifier", keyIdentifier: ca.generateSubjectKeyIdentifier().getBytes() },
  ];
}

/** What was built is read back and verified by OpenSSL before it leaves. */
function issued(certificatePem: string, issuer: X509Certificate): IssuedCertificate {
  const certificate = new X509Certificate(certificatePem);
  assertTlsKey(certificate.publicKey);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    throw new ConsiliumError("internal", "The certificate that was just issued does not verify.");
  }
  return {
    certificatePem,
    serial: certificate.serialNumber,
    fingerprint: fingerprintOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

function toPem(certificate: forge.pki.Certificate): string {
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}
