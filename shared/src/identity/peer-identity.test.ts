import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { type LeafDefects, malformedLeaf } from "../../../test/support/malformed-certificates.js";
import { readLeaf } from "./certificate-check.js";
import { identityUri, parseIdentityUri, parsePeerIdentity } from "./peer-identity.js";

let test: TestFederation;
beforeAll(async () => {
  test = await createTestFederation();
});
afterAll(() => test.remove());

const uri = (value: string) => ({ type: 6, value });
const site = uri("fed://demo/site/hospital-a");

describe("parsePeerIdentity", () => {
  it("reads the role from the only URI", async () => {
    const { certPem } = await malformedLeaf(test, {});
    expect(parsePeerIdentity(new X509Certificate(certPem))).toEqual(test.identity("site", "hospital-a"));
  });

  it("lets a coordinator carry names and addresses besides", async () => {
    const { certPem } = await test.bundle("coordinator", "main");
    expect(identityUri(parsePeerIdentity(new X509Certificate(certPem)))).toBe("fed://demo/coordinator/main");
  });

  const unfit: [string, LeafDefects["altNames"] & object][] = [
    ["two URIs", [site, uri("fed://demo/operator/root")]],
    ["no names at all", []],
    ["a DNS name only", [{ type: 2, value: "hospital-a" }]],
    ["a site with a DNS name", [site, { type: 2, value: "coordinator.example" }]],
    ["a mail address besides", [site, { type: 1, value: "a@example.org" }]],
    ["a comma that imitates a second name", [uri("fed://demo/site/a, URI:fed://demo/operator/root")]],
    ["a NUL", [uri("fed://demo/site/a\0b")]],
    ["a homoglyph", [uri("fed://demo/site/h\u00f6spital")]],
    ["10 kB", [uri(`fed://demo/site/${"a".repeat(10_000)}`)]],
  ];
  it.each(unfit)("refuses %s", async (_what, altNames) => {
    const certificate = new X509Certificate((await malformedLeaf(test, { altNames })).certPem);
    expect(() => parsePeerIdentity(certificate)).toThrowError(expect.objectContaining({ code: "certificate-refused" }));
  });
});

describe("parseIdentityUri", () => {
  it.each([
    "fed://demo/admin/a",
    "fed://demo/site/",
    "fed://demo/site/a/b",
    "fed://demo/site/..",
    "fed://demo/site/A",
    "fed://demo/site/a?x",
    "FED://demo/site/a",
    `fed://demo/site/${"a".repeat(64)}`,
    "fed://demo/site/a\n",
  ])("refuses %j", (text) => {
    expect(() => parseIdentityUri(text)).toThrowError(expect.objectContaining({ code: "certificate-refused" }));
  });
});

describe("readLeaf", () => {
  const unfit: [string, LeafDefects][] = [
    ["a CA", { certificateAuthority: true }],
    ["a server's purpose", { extKeyUsage: { serverAuth: true } }],
    ["two purposes", { extKeyUsage: { serverAuth: true, clientAuth: true } }],
    ["no purpose", { extKeyUsage: "none" }],
  ];
  it.each(unfit)("refuses a site's certificate with %s", async (_what, defects) => {
    const certificate = new X509Certificate((await malformedLeaf(test, defects)).certPem);
    expect(() => readLeaf(certificate)).toThrowError(expect.objectContaining({ code: "certificate-refused" }));
  });
});
