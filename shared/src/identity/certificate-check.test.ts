import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { malformedLeaf } from "../../../test/support/malformed-certificates.js";
import { describeCertificate } from "./certificate-check.js";

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
});
