import type Database from "better-sqlite3";
import BetterSqlite from "better-sqlite3";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { openDatabase } from "./database.js";
import { migrate, migrations } from "./migrations.js";
import type { CertificateRow, SiteStore } from "./site-store.js";
import { createSiteStore } from "./sqlite-site-store.js";

let database: Database.Database;
let store: SiteStore;

beforeEach(() => {
  database = openDatabase(":memory:", 0);
  store = createSiteStore(database);
});

const row = (serial: string, changes: Partial<CertificateRow> = {}): CertificateRow => ({
  ...{ serial, siteId: "north", pem: `pem ${serial}`, issuedAtMs: 10, expiresAtMs: 100 },
  ...{ requestDigest: null, revokedAtMs: null, ...changes },
});

function enrol(serial: string, nowMs: number): number | undefined {
  const tokenHash = `token of ${serial}`;
  const open = { consumedAtMs: null, requestDigest: null, certificatePem: null };
  store.addInvitation({ tokenHash, siteId: "north", createdAtMs: nowMs, expiresAtMs: nowMs + 5, ...open });
  const facts = { requestDigest: Buffer.alloc(32), identityKey: Buffer.alloc(32), siteId: "north", nowMs };
  return store.enrol([{ tokenHash, ...facts, certificate: row(serial, { issuedAtMs: nowMs }) }])[0];
}

const serials = (rows: readonly CertificateRow[]) => rows.map(({ serial }) => serial);

describe("certificates of a site", () => {
  it("count side by side when they were renewed, until they expire", () => {
    expect(enrol("a", 10)).toBe(0);
    expect(store.addCertificate(row("b", { issuedAtMs: 60, expiresAtMs: 150 }))).toBe(true);
    expect(serials(store.currentCertificates("north", 99))).toEqual(["a", "b"]);
    expect(serials(store.currentCertificates("north", 100))).toEqual(["b"]);
    expect(store.lastExpiryMs()).toBe(150);
  });

  it("count no more once the site joined again", () => {
    enrol("a", 10);
    store.addCertificate(row("b", { issuedAtMs: 20 }));
    expect(enrol("c", 30)).toBe(2);
    expect(serials(store.currentCertificates("north", 31))).toEqual(["c"]);
    expect(store.revokedCertificates(31)).toMatchObject([
      { serial: "a", revokedAtMs: 30 },
      { serial: "b", revokedAtMs: 30 },
    ]);
    expect(store.revokedCertificates(100)).toEqual([]);
  });

  it("end with the site, and no renewal brings it back", () => {
    enrol("a", 10);
    store.revokeSite("north", 20);
    expect(store.findCertificate("a")?.revokedAtMs).toBe(20);
    expect(store.addCertificate(row("b"))).toBe(false);
    expect(store.addCertificate(row("c", { siteId: "unknown" }))).toBe(false);
    expect(store.findCertificate("b")).toBeUndefined();
  });
});

it("keeps only the newest certificate of each site that was enrolled before renewals", () => {
  const old = new BetterSqlite(":memory:");
  migrate(old, 0, migrations.slice(0, 2));
  const site = old.prepare(
    "INSERT INTO sites (site_id, identity_key, enrolled_at_ms, revoked_at_ms) VALUES (?, x'00', 0, ?)",
  );
  const certificate = old.prepare("INSERT INTO certificates VALUES (?, ?, '', ?, 100)");
  site.run("north", null);
  site.run("south", 40);
  for (const [serial, siteId, issuedAtMs] of [
    ["n1", "north", 10],
    ["n2", "north", 20],
    ["s1", "south", 10],
  ] as const) {
    certificate.run(serial, siteId, issuedAtMs);
  }
  migrate(old, 1);
  const migrated = createSiteStore(old);
  expect(serials(migrated.currentCertificates("north", 50))).toEqual(["n2"]);
  expect(migrated.currentCertificates("south", 50)).toEqual([]);
  expect(migrated.revokedCertificates(50)).toMatchObject([
    { serial: "n1", revokedAtMs: 20 },
    { serial: "s1", revokedAtMs: 40 },
  ]);
});

describe("when a site was seen", () => {
  it("is written without a wait for the disk; what comes after waits again", () => {
    enrol("a", 10);
    const pragmas = vi.spyOn(database, "pragma");
    store.seen("north", { nowMs: 50, agentVersion: "1.2" });
    expect(pragmas.mock.calls.map(([text]) => text)).toEqual(["synchronous = NORMAL", "synchronous = FULL"]);
    expect(database.pragma("synchronous", { simple: true })).toBe(2);
    expect(store.findSite("north")).toMatchObject({ lastSeenMs: 50, agentVersion: "1.2" });
  });
});
