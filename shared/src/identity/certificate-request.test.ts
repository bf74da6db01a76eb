import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";
import { beforeAll, describe, expect, it } from "vitest";
import { createCertificateRequest, publicKeyOfRequest } from "./certificate-request.js";
import { generateTlsKey, type TlsKeyPair } from "./tls-key.js";

const refused = expect.objectContaining({ code: "certificate-refused" });

describe("publicKeyOfRequest", () => {
  let key: TlsKeyPair;
  let csr: string;
  beforeAll(async () => {
    key = await generateTlsKey();
    csr = createCertificateRequest(key, "hospital-a");
  });

  const tampered = (change: (der: Buffer) => void) => {
    const der = Buffer.from(csr.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
    change(der);
    return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  };

  it("returns the key of a request that its holder made", () => {
    expect(publicKeyOfRequest(csr)).toBe(key.publicKeyPem);
  });

  it("refuses a request for somebody else's key", async () => {
    const victim = await generateTlsKey();
    const forged = createCertificateRequest({ ...key, publicKeyPem: victim.publicKeyPem }, "hospital-a");
    expect(() => publicKeyOfRequest(forged)).toThrow(/does not hold the private key/);
  });

  it("refuses a changed subject or signature", () => {
    expect(() => publicKeyOfRequest(csr.replace("MIID", "MIIE"))).toThrowError(refused);
    const byte = (at: number) => tampered((der) => der.writeUInt8((der[at] ?? 0) ^ 1, at));
    expect(() => publicKeyOfRequest(byte(30))).toThrowError(refused);
    expect(() => publicKeyOfRequest(tampered((der) => der.writeUInt8(der.at(-1)! ^ 1, der.length - 1)))).toThrowError(
      refused,
    );
  });

  it("refuses short keys, other kinds of keys, and SHA-1", () => {
    const small = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { format: "pem", type: "spki" },
      privateKeyEncoding: { format: "pem", type: "pkcs8" },
    });
    const short = createCertificateRequest({ privateKeyPem: small.privateKey, publicKeyPem: small.publicKey }, "a");
    expect(() => publicKeyOfRequest(short)).toThrow(/3072/);
    const request = forge.pki.createCertificationRequest();
    request.publicKey = forge.pki.publicKeyFromPem(key.publicKeyPem);
    request.sign(forge.pki.privateKeyFromPem(key.privateKeyPem), forge.md.sha1.create());
    expect(() => publicKeyOfRequest(forge.pki.certificationRequestToPem(request))).toThrow(/SHA-256/);
  });

  it.each([
    ["nothing", ""],
    ["another PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
    ["something huge", "A".repeat(17_000)],
    ["no DER", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"],
  ])("refuses %s", (_what, pem) => {
    expect(() => publicKeyOfRequest(pem)).toThrowError(refused);
  });

  it("refuses every truncation and every flipped byte without any other kind of error", () => {
    for (let at = 0; at < 500; at += 7) {
      const flipped = tampered((der) => der.writeUInt8((der[at] ?? 0) ^ 0x41, at));
      expect(() => publicKeyOfRequest(flipped)).toThrowError(refused);
      expect(() => publicKeyOfRequest(tampered((der) => der.fill(0, at)))).toThrowError(refused);
    }
  });
});
