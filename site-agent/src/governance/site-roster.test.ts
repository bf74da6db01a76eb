import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { formatPublicKey } from "@consilium/shared/identity/public-key-text.js";
import { silentLogger } from "@consilium/shared/log.js";
import { withKeyReplaced, withoutSite, withSite } from "@consilium/shared/roster/edit-roster.js";
import {
  signedBy,
  testGovernance,
  testNowMs,
  testRoster,
  testTimes,
} from "@consilium/shared/roster/example-governance.js";
import { rosterDigest } from "@consilium/shared/roster/roster.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RecordedTrail } from "../audit/test-log.js";
import type { Policy } from "../policy.js";
import { examplePlan } from "../test-plans.js";
import { RosterFiles } from "./roster-files.js";
import { SiteRoster } from "./site-roster.js";

const trust = testGovernance();
const keys = { a: IdentityKey.generate(), b: IdentityKey.generate(), c: IdentityKey.generate() };
const members = { a: keys.a.publicKey, b: keys.b.publicKey, c: keys.c.publicKey };
const first = testRoster(members, trust, { minCohort: 3, maxColluders: 1 });
const added = (to: SignedRoster, siteId: string) =>
  withSite(
    to,
    { siteId, organisation: siteId, identityKey: formatPublicKey(IdentityKey.generate().publicKey) },
    testTimes,
  );
const swapped = (roster: SignedRoster) =>
  withKeyReplaced(roster, { siteId: "a", identityKey: formatPublicKey(IdentityKey.generate().publicKey) }, testTimes);
const signed = (roster: SignedRoster) => signedBy(trust.keys.slice(0, 2), roster);
const withD = signed(added(first, "d"));
const withoutC = signed(withoutSite(withD, "c", testTimes));

const { keys: pinnedKeys, threshold } = trust.governance;
const approve: Policy["governance"] = { keys: [...pinnedKeys], threshold, additions: "approve" };
const automatic: Policy["governance"] = { ...approve, additions: "automatic" };
const planFor = ({ roster }: SignedRoster) =>
  examplePlan({
    rosterVersion: roster.version,
    rosterDigest: new Uint8Array(Buffer.from(rosterDigest(roster), "hex")),
  });
const refusal = (clause: string, reason = /./) =>
  expect.objectContaining({ code: "policy-refused", clause, message: expect.stringMatching(reason) });

let directory: string;
let nowMs: number;
let audit: RecordedTrail;
let faults: string[];
let served: SignedRoster[] | Error;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "site-roster-"));
  nowMs = testNowMs;
  audit = new RecordedTrail();
  faults = [];
  served = [];
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The roster as a process finds it that was just started. */
function site(own = { siteId: "a", identityKey: keys.a.publicKey }): SiteRoster {
  return new SiteRoster({
    ...{ files: new RosterFiles(directory), federation: "demo", own, audit, logger: silentLogger },
    clock: { now: () => nowMs },
    fetch: async (afterVersion) => {
      if (served instanceof Error) throw served;
      return served.filter(({ roster }) => roster.version > afterVersion);
    },
    onRefused: (fault) => void faults.push(fault),
  });
}

/** A site that follows the first version. */
function member(): SiteRoster {
  site().receive([first], automatic);
  return site();
}

const actions = () => audit.events.map(({ action }) => action);

describe("which plans are followed", () => {
  it("those by the roster that the site follows, among its members", () => {
    const { members: of, floors } = member().requireFollowed(planFor(first), approve);
    expect([...of.keys()]).toEqual(["a", "b", "c"]);
    expect(floors).toEqual({ minCohort: 3, maxColluders: 1 });
  });

  it("none while the policy pins no key, or no roster is there", () => {
    expect(() => member().requireFollowed(planFor(first), { ...approve, keys: [] })).toThrow(
      refusal("governance.keys"),
    );
    rmSync(directory, { recursive: true });
    expect(() => site().requireFollowed(planFor(first), approve)).toThrow(refusal("governance.roster", /no roster/));
  });

  it("none that names another version, or the same with another content", () => {
    expect(() => member().requireFollowed(planFor(withD), approve)).toThrow(refusal("governance.roster", /another/));
    expect(() => member().requireFollowed(examplePlan({ rosterVersion: 1 }), approve)).toThrow(
      refusal("governance.roster", /another/),
    );
  });

  it("none by a roster that has expired, or that other keys signed than the policy pins now", () => {
    nowMs = testTimes.validUntilMs;
    expect(() => member().requireFollowed(planFor(first), approve)).toThrow(refusal("governance.roster", /no roster/));
    nowMs = testNowMs;
    member();
    nowMs = testTimes.validUntilMs;
    expect(() => site().requireFollowed(planFor(first), approve)).toThrow(refusal("governance.roster", /valid until/));
    nowMs = testNowMs;
    const others = { ...approve, keys: testGovernance().governance.keys.slice() };
    expect(() => site().requireFollowed(planFor(first), others)).toThrow(refusal("governance.roster", /too few/));
  });

  it("none where this site is not on the roster", () => {
    member();
    const stranger = site({ siteId: "z", identityKey: IdentityKey.generate().publicKey });
    expect(() => stranger.requireFollowed(planFor(first), approve)).toThrow(
      refusal("governance.roster", /not an active/),
    );
    const swapped = site({ siteId: "b", identityKey: IdentityKey.generate().publicKey });
    expect(() => swapped.requireFollowed(planFor(first), approve)).toThrow(
      refusal("governance.roster", /not an active/),
    );
  });
});

describe("additions", () => {
  it("wait for a person, and plans by the older roster go on meanwhile", async () => {
    member();
    served = [withD];
    await expect(site().follow(planFor(withD), approve)).rejects.toThrow(refusal("governance.additions", /version 2/));
    expect(site().version).toBe(1);
    expect(site().requireFollowed(planFor(first), approve).members.has("d")).toBe(false);
    expect(
      site()
        .pending()
        ?.diff.added.map(({ siteId }) => siteId),
    ).toEqual(["d"]);
    expect(() => site().approve(3, approve)).toThrow(expect.objectContaining({ code: "not-found" }));
    expect(site().approve(2, approve)).toEqual(withD);
    expect((await site().follow(planFor(withD), approve)).members.has("d")).toBe(true);
    expect(actions()).toEqual(["roster.pinned", "roster.waiting", "roster.pinned"]);
    expect(() => site().approve(undefined, approve)).toThrow(/waits here/);
  });

  it("are followed at once where the policy says so, also those that wait already", async () => {
    site().receive([first], approve);
    expect(site().version).toBe(0);
    expect(() => site().requireFollowed(planFor(first), approve)).toThrow(refusal("governance.additions"));
    site().receive([], automatic);
    expect(site().version).toBe(1);
    served = [withD];
    expect((await site().follow(planFor(withD), automatic)).members.has("d")).toBe(true);
  });

  it("of a roster whose signatures no longer count cannot be approved", () => {
    site().receive([first], approve);
    const others = { ...approve, keys: testGovernance().governance.keys.slice() };
    expect(() => site().approve(1, others)).toThrow(expect.objectContaining({ code: "not-found" }));
  });
});

describe("removals", () => {
  it("alone are followed without being asked about", () => {
    member();
    const removed = signed(withoutSite(first, "c", testTimes));
    site().receive([removed], approve);
    expect(site().version).toBe(2);
    expect([...site().requireFollowed(planFor(removed), approve).members.keys()]).toEqual(["a", "b"]);
  });

  it("count at once, also in a roster that waits because of its additions", () => {
    member();
    site().receive([withD, withoutC], approve);
    expect(site().version).toBe(1);
    expect([...site().requireFollowed(planFor(first), approve).members.keys()]).toEqual(["a", "b"]);
  });

  it("of this site itself end its part", () => {
    member();
    const out = signed(withoutSite(first, "a", testTimes));
    site().receive([out], approve);
    expect(() => site().requireFollowed(planFor(out), approve)).toThrow(refusal("governance.roster", /not an active/));
  });
});

describe("rosters that are not followed", () => {
  const fork = signed(added(first, "e"));

  it.each([
    ["signatures", [{ ...withD, signatures: [] }]],
    ["fork", [fork]],
    ["gap", [signed(added(withoutC, "f"))]],
    ["own-key", [signed(swapped(withD))]],
  ])("because of %s are counted and audited, and change nothing", (fault, chain) => {
    site().receive([first, withD], automatic);
    site().receive([withD], automatic);
    const before = site().version;
    site().receive(chain, automatic);
    expect(faults).toEqual([fault]);
    expect(audit.events.at(-1)).toMatchObject({ action: "roster.refused", outcome: "refused", reason: fault });
    expect(site().version).toBe(before);
  });

  it("a coordinator that cannot be reached changes nothing", async () => {
    member();
    served = new Error("no route");
    await expect(site().follow(planFor(withD), approve)).rejects.toThrow(refusal("governance.roster"));
    await expect(site().update(approve)).rejects.toThrow("no route");
  });

  it("nothing is followed whose pinning cannot be written down", () => {
    audit.record = () => {
      throw new Error("disk full");
    };
    expect(() => site().receive([first], automatic)).toThrow("disk full");
    expect(site().version).toBe(0);
  });
});

describe("RosterFiles", () => {
  it("never goes back", () => {
    const files = new RosterFiles(directory);
    files.pin(withD);
    expect(() => files.pin(first)).toThrow(expect.objectContaining({ code: "roster-refused" }));
    expect(() => files.pin(withD)).toThrow(/not newer/);
    expect(new RosterFiles(directory).pinned).toEqual(withD);
    files.keepWaiting(first);
    expect(files.waiting).toBeUndefined();
  });

  it("does not take a damaged file for none", () => {
    const files = new RosterFiles(directory);
    files.pin(first);
    writeFileSync(join(directory, "pinned.json"), "{");
    expect(() => files.pinned).toThrow(expect.objectContaining({ code: "storage" }));
    expect(() => site().requireFollowed(planFor(first), approve)).toThrow(expect.objectContaining({ code: "storage" }));
  });
});
