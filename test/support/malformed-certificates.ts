import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import forge from "node-forge";
import type { TestFederation } from "./identities.js";

export interface LeafDefects {
  readonly altNames?: readonly { type: number; value?: string; ip?: string }[];
  readonly extKeyUsage?: Readonly<Record<string, boolean>> | "none";
  readonly certificateAuthority?: boolean;
  /** Instead of the federation's own key of a good size. */
  readonly publicKeyPem?: string;
  /** Signs with this leaf, instead of with the federation's authority. */
  readonly issuer?: TlsBundle;
  readonly key?: TlsKeyPair;
  readonly digest?: "sha1";
  readonly keyUsage?: Readonly<Record<string, boolean>>;
  /** Leaves the extension out. */
  readonly basicConstraints?: "none";
  /** Hex; a random one unless given. */
  readonly serial?: string;
  /** Letters in the subject. */
  readonly subjectLength?: number;
}

/** A client certificate that a correct authority would never issue, signed with the federation's real CA key. */
export async function malformedLeaf(federation: TestFederation, defects: LeafDefects): Promise<TlsBundle> {
  const { altNames = [{ type: 6, value: `fed://${federation.federation}/site/hospital-a` }] } = defects;
  const { extKeyUsage = { clientAuth: true }, certificateAuthority = false, issuer, subjectLength = 0 } = defects;
  const { key = federation.key, digest = "sha256", keyUsage = { digitalSignature: true } } = defects;
  const issuerKeyPem = issuer?.keyPem ?? (await readFile(join(federation.directory, "ca-key.pem"), "utf8"));
  const issuerCertificate = forge.pki.certificateFromPem(issuer?.certPem ?? federation.authority.certificatePem);
  const leaf = forge.pki.createCertificate();
  leaf.publicKey = forge.pki.publicKeyFromPem(defects.publicKeyPem ?? key.publicKeyPem);
  leaf.serialNumber = defects.serial ?? `40${randomBytes(15).toString("hex")}`;
  leaf.validity.notBefore = new Date(Date.now() - 60_000);
  leaf.validity.notAfter = new Date(Date.now() + 3_600_000);
  leaf.setSubject([{ name: "commonName", value: `hospital-a${"x".repeat(subjectLength)}` }]);
  leaf.setIssuer(issuerCertificate.subject.attributes);
  leaf.setExtensions([
    ...(defects.basicConstraints === "none"
      ? []
      : [{ name: "basicConstraints", cA: certificateAuthority, critical: true }]),
    { name: "keyUsage", ...keyUsage, keyCertSign: certificateAuthority, critical: true },
    ...(extKeyUsage === "none" ? [] : [{ name: "extKeyUsage", ...extKeyUsage }]),
    ...(altNames.length === 0 ? [] : [{ name: "subjectAltName", altNames: [...altNames] }]),
  ]);
  leaf.sign(forge.pki.privateKeyFromPem(issuerKeyPem), forge.md[digest].create());
  const leafPem = forge.pki.certificateToPem(leaf);
  return {
    caPem: federation.authority.certificatePem,
    certPem: issuer === undefined ? leafPem : leafPem + issuer.certPem,
    keyPem: key.privateKeyPem,
  };
}
