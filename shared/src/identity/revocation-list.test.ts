import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { signRevocationList } from "./revocation-list.js";

let test: TestFederation;
beforeAll(async () => {
  test = await createTestFederation();
});
afterAll(() => test.remove());

const at = (text: string) => Date.parse(text);

function list(revoked: Parameters<typeof signRevocationList>[0]["revoked"], nextUpdateMs = at("2051-02-03T04:05:06Z")) {
  const issuer = new X509Certificate(test.authority.certificatePem);
  const key = createPrivateKey(readFileSync(join(test.directory, "ca-key.pem"), "utf8"));
  const pem = signRevocationList({ issuer, key, revoked, thisUpdateMs: at("2026-01-02T03:04:05.678Z"), nextUpdateMs });
  const path = join(test.directory, "list.pem");
  writeFileSync(path, pem);
  const ca = join(test.directory, "ca-certificate.pem");
  return execFileSync("openssl", ["crl", "-in", path, "-noout", "-text", "-CAfile", ca], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

describe("revocation list", () => {
  it("is read by OpenSSL, with its dates, entries and number", () => {
    const text = list([
      { serial: "80FF", revokedAtMs: at("2025-12-31T23:59:59Z") },
      { serial: "5A0B", revokedAtMs: at("2026-01-01T00:00:00Z") },
    ]);
    expect(text).toContain("Version 2");
    expect(text).toContain("Last Update: Jan  2 03:04:05 2026 GMT");
    expect(text).toContain("Next Update: Feb  3 04:05:06 2051 GMT");
    expect(text).toMatch(/Serial Number: 80FF\s+Revocation Date: Dec 31 23:59:59 2025 GMT/);
    expect(text).toMatch(/Serial Number: 5A0B\s+Revocation Date: Jan {2}1 00:00:00 2026 GMT/);
    expect(text).toContain(`X509v3 CRL Number:`);
    const ca = new X509Certificate(test.authority.certificatePem).toString();
    expect(ca).toContain("BEGIN CERTIFICATE");
  });

  it("may be empty, and long", () => {
    expect(list([])).toContain("No Revoked Certificates.");
    const many = Array.from({ length: 3000 }, (_, index) => ({ serial: (index + 1).toString(16), revokedAtMs: 0 }));
    expect(list(many)).toContain("Serial Number: 0BB8");
  });
});
