import { X509Certificate } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, dayMs, type TestFederation } from "../../../test/support/identities.js";
import { createAuthority, loadAuthority } from "./certificate-authority.js";
import { assertValidAt, checkBundle, describeCertificate } from "./certificate-check.js";

let test: TestFederation;
beforeAll(async () => {
  test = await createTestFederation();
});
afterAll(() => test.remove());

describe("certificate authority", () => {
  it("makes a CA that OpenSSL accepts as an issuer of leaves only", async () => {
    const ca = new X509Certificate(test.authority.certificatePem);
    expect(ca.ca).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    expect(Date.parse(ca.validTo) - Date.now()).toBeGreaterThan(3650 * dayMs);
    expect((await stat(join(test.directory, "ca-key.pem"))).mode & 0o777).toBe(0o600);
  });

  it("does not replace an authority", async () => {
    const again = createAuthority({ directory: test.directory, federation: "demo" });
    await expect(again).rejects.toMatchObject({ code: "already-exists" });
  });

  it("issues a site's certificate with its only name and purpose", async () => {
    const { certPem } = await test.bundle("site", "hospital-a");
    const leaf = new X509Certificate(certPem);
    expect(leaf.subjectAltName).toBe("URI:fed://demo/site/hospital-a");
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(leaf.ca).toBe(false);
    expect(leaf.verify(new X509Certificate(test.authority.certificatePem).publicKey)).toBe(true);
    expect(describeCertificate(certPem).identity).toEqual({ federation: "demo", role: "site", id: "hospital-a" });
  });

  it("issues the coordinator's certificate with the names that sites dial", async () => {
    const leaf = new X509Certificate((await test.bundle("coordinator", "coordinator")).certPem);
    expect(leaf.checkHost("localhost")).toBe("localhost");
    expect(leaf.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  });

  it("gives every certificate its own serial number and dates it back by five minutes", () => {
    const request = { identity: test.identity("site", "a"), publicKeyPem: test.key.publicKeyPem, validForMs: dayMs };
    const [first, second] = [test.authority.issueLeaf(request), test.authority.issueLeaf(request)];
    expect(first.serial).not.toBe(second.serial);
    expect(first.serial).toHaveLength(32);
    expect(first.notAfterMs - first.notBeforeMs).toBe(dayMs + 300_000);
  });

  it.each([
    ["another federation", { identity: { federation: "other", role: "site", id: "a" } }],
    ["an id with a slash", { identity: { federation: "demo", role: "site", id: "a/b" } }],
    ["an id with capitals", { identity: { federation: "demo", role: "site", id: "A" } }],
    ["a site with a DNS name", { identity: { federation: "demo", role: "site", id: "a" }, dnsNames: ["x"] }],
  ] as const)("refuses %s", (_what, request) => {
    const issue = () =>
      test.authority.issueLeaf({ publicKeyPem: test.key.publicKeyPem, validForMs: dayMs, ...request });
    expect(issue).toThrowError(expect.objectContaining({ code: "config-invalid" }));
  });

  it("is the same authority after loading", async () => {
    const loaded = await loadAuthority(test.directory);
    expect(loaded.federation).toBe("demo");
    expect(loaded.certificatePem).toBe(test.authority.certificatePem);
    await expect(loadAuthority(join(test.directory, "absent"))).rejects.toMatchObject({ code: "config-missing" });
  });

  it("refuses to load a key that does not belong to the certificate", async () => {
    const other = await createTestFederation({ key: test.key });
    await writeFile(join(other.directory, "ca-key.pem"), test.key.privateKeyPem);
    await expect(loadAuthority(other.directory)).rejects.toMatchObject({ code: "input-unreadable" });
    await other.remove();
  });
});

describe("checkBundle", () => {
  const nowMs = Date.now();

  it("accepts a process's own certificate", async () => {
    const bundle = await test.bundle("site", "hospital-a");
    const facts = checkBundle(bundle, { identity: test.identity("site", "hospital-a"), nowMs });
    expect(facts.identity.id).toBe("hospital-a");
    expect(() => assertValidAt(facts, nowMs + 2 * dayMs)).toThrow(/expired/);
    expect(() => assertValidAt(facts, nowMs - dayMs)).toThrow(/not valid before/);
  });

  it("names what is wrong", async () => {
    const bundle = await test.bundle("site", "hospital-a");
    const identity = test.identity("site", "hospital-a");
    const other = await createTestFederation({ key: test.key });
    const check =
      (changed: Partial<typeof bundle>, as = identity) =>
      () =>
        checkBundle({ ...bundle, ...changed }, { identity: as, nowMs });
    expect(check({ caPem: other.authority.certificatePem })).toThrow(/not issued by this federation/);
    expect(check({}, test.identity("site", "hospital-b"))).toThrow(/not fed:\/\/demo\/site\/hospital-b/);
    expect(check({ certPem: "nonsense" })).toThrow(/cannot be read/);
    expect(check({ certPem: "x".repeat(20_000) })).toThrow(/longer than 16 KiB/);
    expect(check({ keyPem: "nonsense" })).toThrow(/private key/);
    await other.remove();
  });
});
