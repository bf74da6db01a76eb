import { createHash, type KeyObject, sign, type X509Certificate } from "node:crypto";
import { DerReader, derElement, derInteger, derTag, derTime } from "./der.js";

export interface RevokedCertificate {
  /** Hex, as X509Certificate.serialNumber gives it. */
  readonly serial: string;
  readonly revokedAtMs: number;
}

export interface RevocationListRequest {
  readonly issuer: X509Certificate;
  readonly key: KeyObject;
  readonly revoked: readonly RevokedCertificate[];
  readonly thisUpdateMs: number;
  /** From then on OpenSSL refuses every certificate of the issuer, revoked or not, until it has a newer list. */
  readonly nextUpdateMs: number;
}

/** sha256WithRSAEncryption with NULL parameters (RFC 4055). */
const sha256WithRsa = Buffer.from("300d06092a864886f70d01010b0500", "hex");
/** id-ce-cRLNumber, 2.5.29.20, and id-ce-authorityKeyIdentifier, 2.5.29.35. */
const crlNumber = Buffer.from("0603551d14", "hex");
const authorityKeyIdentifier = Buffer.from("0603551d23", "hex");
const version2 = derInteger("1");
const keyIdentifierTag = 0x80;

/** A certificate revocation list of RFC 5280, version 2, in PEM. Its number is the time it was made, in milliseconds. */
export function signRevocationList(request: RevocationListRequest): string {
  const body = tbsCertList(request);
  const signature = sign("RSA-SHA256", body, request.key);
  const list = derElement(
    derTag.sequence,
    body,
    sha256WithRsa,
    derElement(derTag.bitString, Uint8Array.of(0), signature),
  );
  const lines =
    Buffer.from(list)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN X509 CRL-----\n${lines.join("\n")}\n-----END X509 CRL-----\n`;
}

/** TBSCertList, 5.1. A list without entries must leave the sequence of entries out. */
function tbsCertList({ issuer, revoked, thisUpdateMs, nextUpdateMs }: RevocationListRequest): Uint8Array {
  const entries = revoked.map(({ serial, revokedAtMs }) =>
    derElement(derTag.sequence, derInteger(serial), derTime(revokedAtMs)),
  );
  return derElement(
    derTag.sequence,
    version2,
    sha256WithRsa,
    subjectOf(issuer),
    derTime(thisUpdateMs),
    derTime(nextUpdateMs),
    ...(entries.length === 0 ? [] : [derElement(derTag.sequence, ...entries)]),
    derElement(derTag.tagged0, extensions(issuer, thisUpdateMs)),
  );
}

function extensions(issuer: X509Certificate, thisUpdateMs: number): Uint8Array {
  const keyIdentifier = derElement(derTag.sequence, derElement(keyIdentifierTag, keyIdentifierOf(issuer)));
  return derElement(
    derTag.sequence,
    derElement(derTag.sequence, authorityKeyIdentifier, derElement(derTag.octetString, keyIdentifier)),
    derElement(
      derTag.sequence,
      crlNumber,
      derElement(derTag.octetString, derInteger(Math.floor(thisUpdateMs).toString(16))),
    ),
  );
}

/** Subject ::= the sixth field of TBSCertificate: version, serial, algorithm, issuer, validity, subject. */
function subjectOf(certificate: X509Certificate): Uint8Array {
  const fields = new DerReader(certificate.raw).sequence().sequence();
  for (let skipped = 0; skipped < 5; skipped++) fields.next();
  return fields.expect(derTag.sequence).whole;
}

/** RFC 5280, 4.2.1.2, method 1: SHA-1 of the subject's public key without the bits around it. */
function keyIdentifierOf(certificate: X509Certificate): Uint8Array {
  const info = new DerReader(certificate.publicKey.export({ format: "der", type: "spki" })).sequence();
  info.next();
  return createHash("sha1").update(info.expect(derTag.bitString).content.subarray(1)).digest();
}
