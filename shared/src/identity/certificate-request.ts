import { createPrivateKey, verify } from "node:crypto";
import forge from "node-forge";
import { ConsiliumError } from "../errors.js";
import { DerReader, derTag } from "./der.js";
import { signDraft } from "./forge-signer.js";
import { publicKeyPem, readTlsKey, type TlsKeyPair } from "./tls-key.js";

/** 16 KiB is ten times what a request with a 4096-bit key takes. */
const longestRequest = 16 * 1024;

/** sha256WithRSAEncryption, 1.2.840.113549.1.1.11, with the NULL parameters that RFC 4055 asks for. */
const sha256WithRsa = "300d06092a864886f70d01010b0500";

/** A PKCS #10 request for the site's own key. `name` is for people; the coordinator writes the subject itself. */
export function createCertificateRequest(key: TlsKeyPair, name: string): string {
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.publicKeyFromPem(key.publicKeyPem);
  request.setSubject([{ name: "commonName", value: name }]);
  signDraft(request, createPrivateKey(key.privateKeyPem));
  return forge.pki.certificationRequestToPem(request).replaceAll("\r\n", "\n");
}

/**
 * The public key of a request whose sender proved possession of the private key. The signature is checked by OpenSSL
 * over the bytes as they came; nothing else of the request is used. Throws certificate-refused.
 */
export function publicKeyOfRequest(csrPem: string): string {
  const outer = new DerReader(decodePem(csrPem));
  const request = outer.sequence();
  outer.expectEnd();
  const info = request.expect(derTag.sequence);
  const algorithm = request.expect(derTag.sequence);
  const signature = request.expect(derTag.bitString).content;
  request.expectEnd();
  const publicKey = readTlsKey(publicKeyOf(info.whole));
  if (Buffer.from(algorithm.whole).toString("hex") !== sha256WithRsa || signature[0] !== 0) {
    throw refused("it is not signed with SHA-256 and RSA");
  }
  if (!verify("RSA-SHA256", info.whole, publicKey, signature.subarray(1))) {
    throw refused("its sender does not hold the private key");
  }
  return publicKeyPem(publicKey);
}

/** CertificationRequestInfo ::= SEQUENCE { version, subject, subjectPKInfo, [0] attributes } (RFC 2986). */
function publicKeyOf(info: Uint8Array): Uint8Array {
  const fields = new DerReader(info).sequence();
  fields.expect(derTag.integer);
  fields.expect(derTag.sequence);
  return fields.expect(derTag.sequence).whole;
}

function decodePem(pem: string): Uint8Array {
  if (pem.length > longestRequest) throw refused("it is longer than 16 KiB");
  const match = /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(
    pem,
  );
  if (match?.[1] === undefined) throw refused("it is not a PEM certificate request");
  return new Uint8Array(Buffer.from(match[1], "base64"));
}

function refused(reason: string): ConsiliumError {
  return new ConsiliumError("certificate-refused", `The certificate request is refused: ${reason}.`, {
    remedy: "Run the join command again, so that the agent makes a new request.",
  });
}
