import { createPublicKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import forge from "node-forge";
import { type Clock, systemClock } from "../clock.js";
import { type Entropy, systemEntropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { fingerprintOf } from "./certificate-check.js";
import { readText, writePrivateFile, writePublicFile } from "./key-files.js";
import { assertIdentity, identityUri, type PeerIdentity } from "./peer-identity.js";
import { assertTlsKey, canonicalPublicKey, generateTlsKey } from "./tls-key.js";

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

/** Issues every certificate of one federation. The CA's key stays in the directory that it was loaded from. */
export interface CertificateAuthority {
  readonly federation: string;
  readonly certificatePem: string;
  /** Throws config-invalid for an identity of another federation or names that do not fit its role. */
  issueLeaf(request: LeafRequest): IssuedCertificate;
}

interface Surroundings {
  readonly clock?: Clock;
  readonly entropy?: Entropy;
}

interface Signer {
  readonly certificate: forge.pki.Certificate;
  readonly key: forge.pki.rsa.PrivateKey;
}

const tenYearsMs = 10 * 365.25 * 24 * 3_600_000;
/** Clocks of hospitals differ by minutes. */
const backdatedMs = 5 * 60_000;
const files = { certificate: "ca-certificate.pem", key: "ca-key.pem", federation: "federation" } as const;

/** Makes a federation's CA: RSA-3072, ten years, allowed to issue leaves only. Throws already-exists. */
export async function createAuthority(
  options: { directory: string; federation: string } & Surroundings,
): Promise<CertificateAuthority> {
  const { directory, federation, clock = systemClock, entropy = systemEntropy } = options;
  assertIdentity({ federation, role: "coordinator", id: "coordinator" });
  if (existsSync(join(directory, files.key))) {
    throw new ConsiliumError("already-exists", `${directory} already holds a certificate authority.`, {
      remedy: "Use it, or choose another directory. Replacing it would shut out every enrolled site.",
    });
  }
  const pair = await generateTlsKey();
  const key = forge.pki.privateKeyFromPem(pair.privateKeyPem);
  const certificate = draft({ publicKeyPem: pair.publicKeyPem, validForMs: tenYearsMs, clock, entropy });
  const name = [{ name: "commonName", value: `Consilium ${federation} CA` }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.setExtensions([
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  certificate.sign(key, forge.md.sha256.create());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writePublicFile(join(directory, files.federation), `${federation}\n`);
  await writePublicFile(join(directory, files.certificate), toPem(certificate));
  await writePrivateFile(join(directory, files.key), pair.privateKeyPem);
  return authority({ certificate, key }, federation, { clock, entropy });
}

/** Throws config-missing where there is none, input-unreadable where its files do not fit together. */
export async function loadAuthority(directory: string, surroundings: Surroundings = {}): Promise<CertificateAuthority> {
  const [federation, certificatePem, keyPem] = await Promise.all([
    readText(join(directory, files.federation)),
    readText(join(directory, files.certificate)),
    readText(join(directory, files.key)),
  ]);
  try {
    const own = new X509Certificate(certificatePem);
    if (!own.publicKey.equals(createPublicKey(keyPem))) throw new Error("key and certificate differ");
    const signer = {
      certificate: forge.pki.certificateFromPem(certificatePem),
      key: forge.pki.privateKeyFromPem(keyPem),
    };
    return authority(signer, federation.trim(), surroundings);
  } catch (cause) {
    throw new ConsiliumError("input-unreadable", `The certificate authority in ${directory} cannot be used.`, {
      remedy: "Restore the directory from a backup; its certificate and key must belong together.",
      cause,
    });
  }
}

function authority(signer: Signer, federation: string, surroundings: Surroundings): CertificateAuthority {
  const { clock = systemClock, entropy = systemEntropy } = surroundings;
  return {
    federation,
    certificatePem: toPem(signer.certificate),
    issueLeaf(request) {
      assertLeaf(request, federation);
      const publicKeyPem = canonicalPublicKey(request.publicKeyPem);
      const leaf = draft({ publicKeyPem, validForMs: request.validForMs, clock, entropy });
      leaf.setSubject([{ name: "commonName", value: request.identity.id }]);
      leaf.setIssuer(signer.certificate.subject.attributes);
      leaf.setExtensions(leafExtensions(request, signer.certificate));
      leaf.sign(signer.key, forge.md.sha256.create());
      return issued(toPem(leaf), signer.certificate);
    },
  };
}

function assertLeaf({ identity, dnsNames = [], ipAddresses = [] }: LeafRequest, federation: string): void {
  assertIdentity(identity);
  if (identity.federation !== federation) {
    throw new ConsiliumError("config-invalid", `This authority issues for ${federation}, not ${identity.federation}.`);
  }
  if (identity.role !== "coordinator" && dnsNames.length + ipAddresses.length > 0) {
    throw new ConsiliumError("config-invalid", `A ${identity.role}'s certificate carries no DNS name or address.`);
  }
}

function draft(options: { publicKeyPem: string; validForMs: number; clock: Clock; entropy: Entropy }) {
  const { publicKeyPem, validForMs, clock, entropy } = options;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKeyPem);
  certificate.serialNumber = randomSerial(entropy);
  certificate.validity.notBefore = new Date(clock.now() - backdatedMs);
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
function issued(certificatePem: string, ca: forge.pki.Certificate): IssuedCertificate {
  const certificate = new X509Certificate(certificatePem);
  const issuer = new X509Certificate(toPem(ca));
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
