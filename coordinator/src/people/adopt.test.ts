import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CertificateAuthority, createAuthority } from "@consilium/shared/identity/certificate-authority.js";
import type { Role } from "@consilium/shared/identity/peer-identity.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { openDatabase } from "../store/database.js";
import type { PersonStore } from "../store/person-store.js";
import { createPersonStore } from "../store/sqlite-person-store.js";
import { adoptCredentials } from "./adopt.js";

const yearMs = 365 * 86_400_000;
const directory = mkdtempSync(join(tmpdir(), "adopt-"));
let own: CertificateAuthority;
let other: CertificateAuthority;
let key: TlsKeyPair;
let store: PersonStore;

beforeAll(async () => {
  [own, other, key] = await Promise.all([
    createAuthority({ directory: join(directory, "own"), federation: "demo" }),
    createAuthority({ directory: join(directory, "other"), federation: "demo" }),
    generateTlsKey(),
  ]);
}, 60_000);
beforeEach(() => {
  store = createPersonStore(openDatabase(":memory:", 0));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let folders = 0;
function folderWith(certPem: string): string {
  const folder = join(directory, `folder-${folders++}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "cert.pem"), certPem);
  return folder;
}

function issued(authority: CertificateAuthority, role: Role, id: string) {
  const identity = { federation: "demo", role, id };
  const leaf = authority.issueLeaf({ identity, publicKeyPem: key.publicKeyPem, validForMs: yearMs });
  return { ...leaf, folder: folderWith(leaf.certificatePem) };
}

it("takes the people's certificates in a home that is older than the list of them for issued", () => {
  const [operator, researcher] = [issued(own, "operator", "operator"), issued(own, "researcher", "researcher")];
  adoptCredentials(own, store, [operator.folder, researcher.folder, join(directory, "not there")]);
  expect(store.list()).toMatchObject([
    { serial: operator.serial, role: "operator", personId: "operator", expiresAtMs: operator.notAfterMs },
    { serial: researcher.serial, role: "researcher", personId: "researcher", revokedAtMs: null },
  ]);
});

it("takes none of another authority, of a site, or that cannot be read", () => {
  const strangers = [issued(other, "operator", "operator").folder, issued(own, "site", "north").folder];
  expect(adoptCredentials(own, store, [...strangers, folderWith("no certificate")])).toEqual([]);
  expect(store.list()).toEqual([]);
});

it("takes none once any is written down, so that nothing that was revoked comes back", () => {
  const [operator, researcher] = [issued(own, "operator", "operator"), issued(own, "researcher", "researcher")];
  adoptCredentials(own, store, [researcher.folder]);
  store.revoke("researcher", Date.now());
  expect(adoptCredentials(own, store, [operator.folder, researcher.folder])).toEqual([]);
  expect(store.find(researcher.serial)?.revokedAtMs).not.toBeNull();
  expect(store.find(operator.serial)).toBeUndefined();
});
