import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { rotationHolds } from "@consilium/shared/identity/key-rotation.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockHome } from "./agent-lock.js";
import type { AuditEntry } from "./audit/audit-entry.js";
import { readEntries } from "./audit/read-log.js";
import { verifyLog } from "./audit/verify-log.js";
import { RosterFiles } from "./governance/roster-files.js";
import { type SiteHome, siteHome } from "./home.js";
import { rotateIdentity, rotationTo } from "./rotate-identity.js";

const clock = new ManualClock(Date.UTC(2026, 0, 15));
const old = IdentityKey.generate();
let home: SiteHome;

beforeEach(async () => {
  home = siteHome(mkdtempSync(join(tmpdir(), "rotate-")));
  mkdirSync(home.identity.directory);
  const enrolment = { version: 1, federation: "demo", siteId: "a", host: "h", port: 1, planPublicKey: "0".repeat(64) };
  writeFileSync(home.identity.enrolment, JSON.stringify(enrolment));
  writeFileSync(home.siteYaml, "data: { source: folder, path: images }\n");
  await old.save(home.identity.identityKey);
});
afterEach(() => rmSync(home.root, { recursive: true, force: true }));

const current = () => IdentityKey.load(home.identity.identityKey);
const audited = (): AuditEntry[] =>
  [...readEntries(home.audit, {})].filter(({ action }) => action === "identity.rotated");
const about = { federation: "demo", siteId: "a" };

describe("rotateIdentity", () => {
  it("puts a new key in the old one's place, which vouches for it", async () => {
    const { before, key, signature } = await rotateIdentity(home, clock);
    const { publicKey } = await current();
    expect(key).toBe(formatPublicKey(publicKey));
    expect(before).toBe(formatPublicKey(old.publicKey));
    expect(rotationHolds({ ...about, before, key }, Buffer.from(signature!, "hex"))).toBe(true);
    expect(rotationHolds({ ...about, siteId: "b", before, key }, Buffer.from(signature!, "hex"))).toBe(false);
    expect(statSync(home.identity.identityKey).mode & 0o777).toBe(0o600);
    expect(rotationTo(home, key)).toEqual({ before, key, signature });
    expect(rotationTo(home, before)).toBeUndefined();
  });

  it("is in the audit log, which is whole by the new key, also after several", async () => {
    for (let times = 0; times < 3; times++) await rotateIdentity(home, clock);
    expect(audited().map(({ object }) => object)).toMatchObject([{ signed: true }, { signed: true }, { signed: true }]);
    expect(verifyLog(home.audit, (await current()).publicKey)).toMatchObject({ intact: true, unsigned: 0 });
    expect(verifyLog(home.audit, old.publicKey).broken).toMatchObject({ kind: "unsigned" });
  });

  it("of a lost key takes the one on the roster for the old one, and says that it did not sign", async () => {
    rmSync(home.identity.identityKey);
    await expect(rotateIdentity(home, clock)).rejects.toMatchObject({ code: "config-missing" });
    mkdirSync(home.governance);
    new RosterFiles(home.governance).pin(testRoster({ a: old.publicKey, b: new Uint8Array(32) }, testGovernance()));
    const rotation = await rotateIdentity(home, clock);
    expect(rotation).toEqual({ before: formatPublicKey(old.publicKey), key: expect.stringMatching(/^ed25519:/) });
    expect(audited()[0]?.object).toMatchObject({ signed: false });
    expect(verifyLog(home.audit, (await current()).publicKey).intact).toBe(true);
  });

  it("goes on with the same key where it was cut off", async () => {
    const next = IdentityKey.generate();
    await next.save(`${home.identity.identityKey}.next`);
    expect((await rotateIdentity(home, clock)).key).toBe(formatPublicKey(next.publicKey));
    expect(existsSync(`${home.identity.identityKey}.next`)).toBe(false);
  });

  it("is refused while the agent runs", async () => {
    const unlock = lockHome(home.lock);
    await expect(rotateIdentity(home, clock)).rejects.toMatchObject({ code: "already-exists" });
    unlock();
    expect((await current()).publicKey).toEqual(old.publicKey);
  });
});
