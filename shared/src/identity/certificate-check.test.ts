import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { malformedLeaf } from "../../../test/support/malformed-certificates.js";
import { describeCertificate, parseCertificate } from "./certificate-check.js";

let test: TestFederation;
beforeAll(async () => {
  test = await createTestFederation();
});
afterAll(() => test.remove());

describe("a leaf certificate", () => {
  it.each([
    ["2048 bits", { modulusLength: 2048, publicExponent: 65537 }],
    ["the exponent 3", { modulusLength: 3072, publicExponent: 3 }],
  ])("is refused with a key of %s, whoever signed it", async (_what, size) => {
    const { publicKey } = generateKeyPairSync("rsa", {
      ...size,
      publicKeyEncoding: { format: "pem", type: "spki" },
      privateKeyEncoding: { format: "pem", type: "pkcs8" },
    });
    const { certPem } = await malformedLeaf(test, { publicKeyPem: publicKey });
    expect(() => describeCertificate(certPem)).toThrow(/not RSA with 3072 bits and exponent 65537/);
  });

  it("with a key that OpenSSL cannot read is refused like any other", async () => {
    const { certPem } = await test.bundle("site", "hospital-a");
    const der = Buffer.from(new X509Certificate(certPem).raw);
    // rsaEncryption becomes an algorithm that no RSA key has.
    const algorithm = der.lastIndexOf(Buffer.from("06092a864886f70d010101", "hex"));
    der[algorithm + 10] = 3;
    expect(() => parseCertificate(der)).toThrow(expect.objectContaining({ code: "certificate-refused" }));
  });
});
