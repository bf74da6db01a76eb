import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { withoutSite } from "@consilium/shared/roster/edit-roster.js";
import {
  signedBy,
  testGovernance,
  testNowMs,
  testRoster,
  testTimes,
} from "@consilium/shared/roster/example-governance.js";
import { rosterDigest } from "@consilium/shared/roster/roster.js";
import { parseSignedRoster, type SignedRoster, signedRosterBytes } from "@consilium/shared/roster/signed-roster.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, type StoreDatabase } from "../store/database.js";
import { createRosterStore } from "../store/sqlite-roster-store.js";
import { membershipBy } from "./membership.js";
import { RosterDesk } from "./roster-desk.js";

const trust = testGovernance();
const keys = { a: IdentityKey.generate().publicKey, b: IdentityKey.generate().publicKey };
const first = testRoster(keys, trust);
const second = signedBy(trust.keys, withoutSite(first, "b", testTimes));
const by = "fed://demo/operator/operator";

let home: string;
let database: StoreDatabase;
let desk: RosterDesk;
let nowMs: number;

beforeEach(() => {
  nowMs = testNowMs;
  home = mkdtempSync(join(tmpdir(), "roster-desk-"));
  database = openDatabase(join(home, "c.db"), 0);
  desk = newDesk();
});

afterEach(() => {
  database.close();
  rmSync(home, { recursive: true, force: true });
});

const newDesk = () =>
  new RosterDesk({ federation: "demo", store: createRosterStore(database), clock: { now: () => nowMs } });
const publish = (signed: SignedRoster) => desk.publish(signedRosterBytes(signed), by);
const refusal = (reason: RegExp, remedy = /./) =>
  expect.objectContaining({
    ...{ code: "roster-refused", message: expect.stringMatching(reason), remedy: expect.stringMatching(remedy) },
  });

describe("RosterDesk", () => {
  it("keeps every version, and knows the newest after a restart", () => {
    expect(desk.current).toBeUndefined();
    expect(publish(first)).toEqual({ version: 1, digest: rosterDigest(first.roster), activeSites: 2, signatures: 2 });
    expect(publish(second)).toMatchObject({ version: 2, activeSites: 1, signatures: 3 });
    const restarted = newDesk();
    expect(restarted.current?.version).toBe(2);
    expect(restarted.documentsAfter(0).map((document) => parseSignedRoster(document))).toEqual([first, second]);
    expect(restarted.documentsAfter(1)).toHaveLength(1);
  });

  it("adds signatures to the newest, also when each person signed a copy", () => {
    publish(signedBy([trust.keys[0]!], first));
    expect(publish(signedBy([trust.keys[1]!], first))).toMatchObject({ version: 1, signatures: 2 });
    expect(publish(signedBy([trust.keys[1]!], first))).toMatchObject({ version: 1, signatures: 2 });
  });

  it("refuses what no site could follow", () => {
    const other = testRoster(keys, testGovernance(3, 2, "other"));
    expect(() => publish(other)).toThrow(refusal(/federation other/, /coordinator of that federation/));
    expect(() => publish({ ...first, signatures: [] })).toThrow(refusal(/nobody/, /consilium roster sign/));
    expect(() => publish({ ...second, signatures: first.signatures })).toThrow(
      refusal(/does not hold/, /consilium roster show/),
    );
    publish(first);
    const fork = signedBy(trust.keys, { ...first, roster: { ...first.roster, validUntil: "2029-01-01T00:00:00Z" } });
    expect(() => publish(fork)).toThrow(refusal(/does not follow/, /consilium roster fetch/));
    publish(second);
    expect(() => publish(first)).toThrow(refusal(/does not follow/));
    nowMs = testTimes.validUntilMs;
    expect(() => publish(second)).toThrow(refusal(/valid until/, /--valid-days/));
    expect(desk.current?.version).toBe(2);
  });
});

describe("membershipBy", () => {
  const enrolled = (identityKey: Uint8Array) => ({
    findSite: (siteId: string) => ({
      ...{ siteId, identityKey, enrolledAtMs: 0, revokedAtMs: null, lastSeenMs: 0, agentVersion: "", auditHead: null },
    }),
  });

  it("admits an active site that is enrolled with the key of the roster", () => {
    const membership = membershipBy(desk, enrolled(keys.b));
    expect(membership.admits("b")).toBe(false);
    publish(first);
    expect(membership.admits("b")).toBe(true);
    expect(membership.admits("a")).toBe(false);
    publish(second);
    expect(membership.admits("b")).toBe(false);
    expect(membership.roster?.version).toBe(2);
  });

  it("admits nobody who is not enrolled", () => {
    publish(first);
    expect(membershipBy(desk, { findSite: () => undefined }).admits("a")).toBe(false);
  });
});
