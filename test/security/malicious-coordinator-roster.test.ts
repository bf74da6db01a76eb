import { mkdtempSync, rmSync } from "node:fs";
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
import { RosterFiles } from "@consilium/site-agent/governance/roster-files.js";
import { SiteRoster } from "@consilium/site-agent/governance/site-roster.js";
import type { Policy } from "@consilium/site-agent/policy.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RecordedTrail } from "../../site-agent/src/audit/test-log.js";
import { testSite } from "../../site-agent/src/round/test-federation.js";
import { TestAttempt, testFloors, testMember } from "../../site-agent/src/secagg/test-cohort.js";
import { examplePlan, examplePolicy } from "../../site-agent/src/test-plans.js";

/** Matrix L, what concerns the roster: a coordinator that decides, or lies about, who is a hospital. */

const trust = testGovernance();
const holders = trust.keys.slice(0, 2);
const own = { siteId: "a", identityKey: IdentityKey.generate().publicKey };
const newKey = () => IdentityKey.generate().publicKey;
const first = testRoster({ a: own.identityKey, b: newKey(), c: newKey() }, trust);
const added = (to: SignedRoster, siteId: string) =>
  withSite(to, { siteId, organisation: siteId, identityKey: formatPublicKey(newKey()) }, testTimes);
const swapped = (roster: SignedRoster) =>
  withKeyReplaced(roster, { siteId: "a", identityKey: formatPublicKey(newKey()) }, testTimes);
const second = signedBy(holders, withoutSite(first, "c", testTimes));
const { keys, threshold } = trust.governance;
const governance: Policy["governance"] = { keys: [...keys], threshold, additions: "automatic" };
const careful: Policy["governance"] = { ...governance, additions: "approve" };
const planBy = ({ roster }: SignedRoster) =>
  examplePlan({
    rosterVersion: roster.version,
    rosterDigest: new Uint8Array(Buffer.from(rosterDigest(roster), "hex")),
  });

let directory: string;
let nowMs: number;
let audit: RecordedTrail;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hostile-roster-"));
  nowMs = testNowMs;
  audit = new RecordedTrail();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The site after a restart, before a coordinator that serves these. */
function site(served: readonly SignedRoster[] = []): SiteRoster {
  return new SiteRoster({
    ...{ files: new RosterFiles(directory), federation: "demo", own, audit, logger: silentLogger },
    clock: { now: () => nowMs },
    fetch: async () => served,
    onRefused: () => {},
  });
}

async function refusedFor(fault: string, served: readonly SignedRoster[]): Promise<void> {
  const before = site().version;
  await expect(site(served).follow(planBy(served.at(-1)!), governance)).rejects.toMatchObject({
    code: "policy-refused",
    clause: "governance.roster",
  });
  expect(audit.events.at(-1)).toMatchObject({ action: "roster.refused", outcome: "refused", reason: fault });
  expect(site().version).toBe(before);
}

describe("the roster that a coordinator serves", () => {
  it("L: an unsigned roster is refused", () => refusedFor("signatures", [{ ...first, signatures: [] }]));

  it("L: a roster that too few governance keys have signed is refused, also where one signed twice", async () => {
    const [signature] = first.signatures;
    await refusedFor("signatures", [{ ...first, signatures: [signature!] }]);
    await refusedFor("signatures", [{ ...first, signatures: [signature!, signature!] }]);
  });

  it("L: a roster signed with keys of the coordinator's own is refused", () =>
    refusedFor("signatures", [signedBy([IdentityKey.generate(), IdentityKey.generate()], first)]));

  it("L: an expired roster is refused, and plans by it once it has expired", async () => {
    nowMs = testTimes.validUntilMs;
    await refusedFor("expired", [first]);
    nowMs = testNowMs;
    site().receive([first], governance);
    nowMs = testTimes.validUntilMs;
    expect(() => site().requireFollowed(planBy(first), governance)).toThrow(/valid until/);
  });

  it("L: an old roster is refused, also by a new process", async () => {
    site().receive([first], governance);
    site().receive([second], governance);
    site().receive([first], governance);
    expect(audit.events.at(-1)).toMatchObject({ action: "roster.refused", reason: "old" });
    await expect(site().follow(planBy(first), governance)).rejects.toMatchObject({ clause: "governance.roster" });
    expect(site().version).toBe(2);
  });

  it("L: a forked roster is refused and audited, signed though it is", () => {
    site().receive([first], governance);
    site().receive([second], governance);
    site().receive([signedBy(holders, added(first, "d"))], governance);
    expect(audit.events.at(-1)).toMatchObject({ action: "roster.refused", reason: "fork" });
    expect(site().version).toBe(2);
  });

  it("L: a roster with another key for this site is refused", () =>
    refusedFor("own-key", [signedBy(holders, swapped(first))]));

  it("L: additions that no person approved are not followed, removals are at once", async () => {
    site().receive([first], governance);
    const exchanged = signedBy(holders, added(signedBy(holders, { ...second, signatures: [] }), "d"));
    await expect(site([second, exchanged]).follow(planBy(exchanged), careful)).rejects.toMatchObject({
      clause: "governance.additions",
    });
    expect([...site().requireFollowed(planBy(first), careful).members.keys()]).toEqual(["a", "b"]);
  });
});

describe("the adverts that a coordinator hands on", () => {
  const failing = expect.objectContaining({ check: "adverts-of-members", isAttack: true });
  const joined = ["a", "b", "c"].map(testMember);
  const members = new Map(joined.map(({ siteId, identity }) => [siteId, identity.publicKey]));

  /** Sites that took part in nothing yet. */
  const hospitals = () => joined.map((member) => ({ ...member, records: new Map<string, string>() }));

  it("L: Sybil sites with valid certificates and signatures of their own are refused", () => {
    const sybils = ["s1", "s2"].map(testMember);
    const attempt = new TestAttempt([...hospitals(), ...sybils], {}, { floors: { ...testFloors, members } });
    expect(() => attempt.advertise().session("a").share(attempt.advertised)).toThrow(failing);
  });

  it("L: a hospital's id with a swapped identity key, signed with that key, is refused", () => {
    const [a, b, c] = hospitals();
    const swapped = { ...b!, identity: IdentityKey.generate() };
    const attempt = new TestAttempt([a!, swapped, c!], {}, { floors: { ...testFloors, members } });
    expect(() => attempt.advertise().session("a").share(attempt.advertised)).toThrow(failing);
  });

  it("L: a removed hospital is refused", () => {
    const left = new Map([...members].filter(([siteId]) => siteId !== "c"));
    const attempt = new TestAttempt(hospitals(), {}, { floors: { ...testFloors, members: left } });
    expect(() => attempt.advertise().session("a").share(attempt.advertised)).toThrow(failing);
  });

  it("L: a cohort without the peers that the policy requires is refused at U1, U2 and U3", async () => {
    const all = ["a", "b", "c", "d"].map(testMember);
    const wanting = (atLeast: number, of: string[]) => ({ floors: { ...testFloors, requiredPeers: { atLeast, of } } });
    const few = new TestAttempt(all, {}, wanting(2, ["b", "x"])).advertise();
    const short = expect.objectContaining({ check: "required-peers", code: "policy-refused" });
    expect(() => few.session("a").share(few.advertised)).toThrow(short);
    const attempt = new TestAttempt(["a", "b", "c", "d"].map(testMember), {}, wanting(1, ["d"])).advertise().share();
    expect(() => attempt.mask("a", ["a", "b", "c"])).toThrow(short);
    await attempt.upload();
    expect(() => attempt.session("a").confirm(attempt.survivors(["a", "b", "c"]))).toThrow(short);
  });
});

describe("the agent itself", () => {
  it("L: floors of the roster count where plan and policy ask for less", async () => {
    const agent = testSite(directory);
    agent.roster.floors = { minCohort: 4, maxColluders: 0 };
    expect(await agent.plan()).toMatchObject({ kind: "refused", clause: "secagg.minCohort" });
    agent.roster.floors = { minCohort: 3, maxColluders: 1 };
    expect(await agent.plan({ key: { runId: "run-1", round: 1, attempt: 1 } })).toMatchObject({
      clause: "secagg.maxColluders",
    });
  });

  it("L: a run that nobody launched whom the policy names is refused", async () => {
    const agent = testSite(directory);
    agent.policy = { ...examplePolicy, jobs: { ...examplePolicy.jobs, researchers: ["fed://demo/researcher/r2"] } };
    expect(await agent.plan()).toMatchObject({ kind: "refused", clause: "jobs.researchers" });
  });
});
