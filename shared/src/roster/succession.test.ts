import { describe, expect, it } from "vitest";
import { IdentityKey } from "../identity/identity-key.js";
import { formatPublicKey } from "../identity/public-key-text.js";
import { withKeyReplaced, withoutSite, withSite } from "./edit-roster.js";
import { signedBy, testGovernance, testNowMs, testRoster, testTimes } from "./example-governance.js";
import { rosterDigest } from "./roster.js";
import { type SignedRoster, withSignature } from "./signed-roster.js";
import { judgeChain, judgeRoster, type RosterView } from "./succession.js";

const trust = testGovernance();
const keys = { a: IdentityKey.generate(), b: IdentityKey.generate(), c: IdentityKey.generate() };
const members = { a: keys.a.publicKey, b: keys.b.publicKey, c: keys.c.publicKey };
const first = testRoster(members, trust);
const signers = trust.keys.slice(0, 2);

const added = (to: SignedRoster, siteId: string, key = IdentityKey.generate()) =>
  withSite(to, { siteId, organisation: siteId, identityKey: formatPublicKey(key.publicKey) }, testTimes);
const second = signedBy(signers, added(first, "d"));
const third = signedBy(signers, withoutSite(second, "b", testTimes));

const view = (known: readonly SignedRoster[], change: Partial<RosterView> = {}): RosterView => ({
  governance: trust.governance,
  known: known.map(({ roster }) => roster),
  own: { siteId: "a", identityKey: keys.a.publicKey },
  nowMs: testNowMs,
  ...change,
});
const refusedBy = (fault: string) => ({ kind: "refused", fault });

describe("judgeRoster", () => {
  it("lets a site that knows none begin with any version", () => {
    expect(judgeRoster(first, view([]))).toEqual({ kind: "follows" });
    expect(judgeRoster(third, view([]))).toEqual({ kind: "follows" });
  });

  it("takes the successor, and the one that is known as known", () => {
    expect(judgeRoster(second, view([first]))).toEqual({ kind: "follows" });
    expect(judgeRoster(second, view([first, second]))).toEqual({ kind: "known" });
  });

  it("refuses what too few pinned keys have signed", () => {
    const stranger = IdentityKey.generate();
    expect(judgeRoster(signedBy([], first), view([]))).toEqual(refusedBy("signatures"));
    expect(judgeRoster(signedBy(signers.slice(0, 1), first), view([]))).toEqual(refusedBy("signatures"));
    expect(judgeRoster(signedBy([signers[0]!, stranger], first), view([]))).toEqual(refusedBy("signatures"));
  });

  it("counts a signer once, however often it has signed", () => {
    const once = signedBy(signers.slice(0, 1), first);
    const twice = { ...once, signatures: [...once.signatures, ...once.signatures] };
    expect(judgeRoster(twice, view([]))).toEqual(refusedBy("signatures"));
    const governance = { ...trust.governance, keys: [trust.governance.keys[0]!, trust.governance.keys[0]!] };
    expect(judgeRoster(twice, view([], { governance }))).toEqual(refusedBy("signatures"));
  });

  it("refuses signatures over another roster", () => {
    expect(judgeRoster({ ...second, signatures: first.signatures }, view([first]))).toEqual(refusedBy("signatures"));
  });

  it("never follows without a signature, whatever the threshold says", () => {
    const governance = { ...trust.governance, keys: [], threshold: 0 };
    expect(judgeRoster(first, view([], { governance }))).toEqual(refusedBy("signatures"));
  });

  it("refuses another federation's roster", () => {
    const governance = { ...trust.governance, federation: "other" };
    expect(judgeRoster(first, view([], { governance }))).toEqual(refusedBy("federation"));
  });

  it("refuses a roster that gives this site another key", () => {
    const swapped = signedBy(
      signers,
      withKeyReplaced(
        first,
        { siteId: "a", identityKey: formatPublicKey(IdentityKey.generate().publicKey) },
        testTimes,
      ),
    );
    expect(judgeRoster(swapped, view([first]))).toEqual(refusedBy("own-key"));
  });

  it("takes one from which this site was removed", () => {
    const without = signedBy(signers, withoutSite(first, "a", testTimes));
    expect(judgeRoster(without, view([first]))).toEqual({ kind: "follows" });
  });

  it("refuses what is old, forked, or does not follow", () => {
    const otherSecond = signedBy(signers, added(first, "e"));
    const otherThird = signedBy(signers, added(otherSecond, "f"));
    expect(judgeRoster(first, view([second]))).toEqual(refusedBy("old"));
    expect(judgeRoster(otherSecond, view([first, second]))).toEqual(refusedBy("fork"));
    expect(judgeRoster(otherSecond, view([second, third]))).toEqual(refusedBy("fork"));
    expect(judgeRoster(third, view([first]))).toEqual(refusedBy("gap"));
    expect(judgeRoster(otherThird, view([first, second]))).toEqual(refusedBy("chain"));
  });

  it("refuses what has expired", () => {
    expect(judgeRoster(first, view([], { nowMs: testTimes.validUntilMs - 1 }))).toEqual({ kind: "follows" });
    expect(judgeRoster(first, view([], { nowMs: testTimes.validUntilMs }))).toEqual(refusedBy("expired"));
  });
});

describe("judgeChain", () => {
  it("follows versions one after the other", () => {
    expect(judgeChain([second, third], view([first]))).toEqual({ accepted: third, fault: undefined });
    expect(judgeChain([], view([first]))).toEqual({ accepted: undefined, fault: undefined });
  });

  it("begins with the newest where none is known", () => {
    expect(judgeChain([first, second, third], view([]))).toEqual({ accepted: third, fault: undefined });
  });

  it("stops where one is refused, and keeps what came before", () => {
    const forged = { ...third, signatures: [] };
    expect(judgeChain([second, forged], view([first]))).toEqual({ accepted: second, fault: "signatures" });
  });

  it("asks only the newest to be valid now", () => {
    const short = signedBy(signers, {
      ...second,
      roster: { ...second.roster, validUntil: "2027-01-01T00:00:00Z" },
    });
    const next = signedBy(signers, added(short, "e"));
    expect(judgeChain([short, next], view([first]))).toEqual({ accepted: next, fault: undefined });
    expect(judgeChain([short], view([first]))).toEqual({ accepted: undefined, fault: "expired" });
  });
});

describe("editing a roster", () => {
  it("changes a draft in place, and makes the next version of one that is signed", () => {
    const draft = { ...first, signatures: [] };
    expect(added(draft, "d").roster).toMatchObject({ version: 1, previous: "0".repeat(64) });
    expect(second.roster).toMatchObject({ version: 2, previous: rosterDigest(first.roster) });
    expect(added(first, "d").signatures).toEqual([]);
  });

  it("keeps a removed site listed, and lets it come back", () => {
    const b = third.roster.sites.find(({ siteId }) => siteId === "b");
    expect(b).toMatchObject({ status: "removed" });
    const back = added(third, "b", keys.b);
    expect(back.roster.sites.find(({ siteId }) => siteId === "b")).toMatchObject({ status: "active" });
    expect(() => withoutSite(third, "b", testTimes)).toThrow(/not an active site/);
    expect(() => added(back, "b", keys.b)).toThrow(expect.objectContaining({ code: "already-exists" }));
  });

  it("gives no key to two sites", () => {
    expect(() => added(first, "z", keys.b)).toThrow(/a key twice/);
  });

  it("replaces a signature that a key gave before", () => {
    expect(withSignature(first, signers[0]!).signatures).toHaveLength(2);
  });
});

describe("judgeChain of a site with a new key", () => {
  const next = IdentityKey.generate();
  const meanwhile = signedBy(signers, added(first, "d"));
  const replaced = signedBy(
    signers,
    withKeyReplaced(meanwhile, { siteId: "a", identityKey: formatPublicKey(next.publicKey) }, testTimes),
  );
  const own = { siteId: "a", identityKey: next.publicKey };

  it("passes over rosters that still name the old one, but ends at none", () => {
    expect(judgeChain([meanwhile, replaced], view([first], { own }))).toEqual({ accepted: replaced, fault: undefined });
    expect(judgeChain([meanwhile], view([first], { own }))).toEqual({ accepted: undefined, fault: "own-key" });
    expect(judgeChain([meanwhile, replaced], view([first])).fault).toBe("own-key");
  });
});
