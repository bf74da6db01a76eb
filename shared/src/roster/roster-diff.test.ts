import { describe, expect, it } from "vitest";
import { IdentityKey } from "../identity/identity-key.js";
import { signRotation } from "../identity/key-rotation.js";
import { formatPublicKey } from "../identity/public-key-text.js";
import { withKeyReplaced, withoutSite, withSite } from "./edit-roster.js";
import { testGovernance, testRoster, testTimes } from "./example-governance.js";
import { rosterDiff, weakens } from "./roster-diff.js";
import { diffLines } from "./roster-lines.js";
import { parseSignedRoster, signedRosterText } from "./signed-roster.js";

const keys = { a: IdentityKey.generate().publicKey, b: IdentityKey.generate().publicKey };
const before = testRoster(keys, testGovernance(), { minCohort: 4, maxColluders: 1 });
const site = (siteId: string, key = IdentityKey.generate().publicKey, organisation = `Hospital ${siteId}`) => ({
  ...{ siteId, organisation, identityKey: formatPublicKey(key) },
});
const ids = (sites: readonly { siteId: string }[]) => sites.map(({ siteId }) => siteId);

describe("rosterDiff", () => {
  it("calls everything added where nothing was known", () => {
    const diff = rosterDiff(undefined, before.roster);
    expect(ids(diff.added)).toEqual(["a", "b"]);
    expect(weakens(diff)).toBe(true);
  });

  it("finds additions and removals", () => {
    const added = rosterDiff(before.roster, withSite(before, site("c"), testTimes).roster);
    expect([ids(added.added), ids(added.removed), weakens(added)]).toEqual([["c"], [], true]);
    const removed = rosterDiff(before.roster, withoutSite(before, "b", testTimes).roster);
    expect([ids(removed.added), ids(removed.removed), weakens(removed)]).toEqual([[], ["b"], false]);
  });

  it("takes a new key under an old id for another member", () => {
    const diff = rosterDiff(before.roster, withKeyReplaced(before, site("b"), testTimes).roster);
    expect([ids(diff.added), ids(diff.removed), weakens(diff)]).toEqual([["b"], ["b"], true]);
  });

  it("shows who is called otherwise now", () => {
    const diff = rosterDiff(before.roster, withSite(before, site("b", keys.b, "Clinic"), testTimes).roster);
    expect(diff.renamed.map(({ after }) => after.organisation)).toEqual(["Clinic"]);
    expect([diff.added, weakens(diff)]).toEqual([[], true]);
  });

  it.each([
    [{ minCohort: 5, maxColluders: 2 }, false],
    [{ minCohort: 3, maxColluders: 1 }, true],
    [{ minCohort: 5, maxColluders: 0 }, true],
  ])("with floors %j", (floors, isWeaker) => {
    const diff = rosterDiff(before.roster, { ...before.roster, floors });
    expect(diff.floors).toEqual({ before: before.roster.floors, after: floors });
    expect(weakens(diff)).toBe(isWeaker);
  });

  it("of a roster and itself is empty", () => {
    const diff = rosterDiff(before.roster, before.roster);
    expect(diff).toEqual({ added: [], removed: [], renamed: [], floors: undefined });
    expect(weakens(diff)).toBe(false);
  });
});

describe("a site that is added again", () => {
  it("gets another name, but another key only by the word for that", () => {
    const again = (...added: Parameters<typeof site>) => withSite(before, site(...added), testTimes);
    expect(again("b", keys.b, "Clinic").roster.sites[1]).toMatchObject({ organisation: "Clinic" });
    const refused = (remedy: unknown) => expect.objectContaining({ code: "already-exists", remedy });
    expect(() => again("b")).toThrow(refused(expect.stringContaining("'consilium roster replace'")));
    expect(() => again("b", keys.b)).toThrow(refused(undefined));
    const gone = withoutSite(before, "b", testTimes);
    expect(withSite(gone, site("b"), testTimes).roster.sites[1]).toMatchObject({ status: "active" });
  });
});

describe("a site whose key is replaced", () => {
  const old = IdentityKey.generate();
  const key = formatPublicKey(IdentityKey.generate().publicKey);
  const roster = testRoster({ a: old.publicKey, b: keys.b }, testGovernance());
  const signature = (federation: string) =>
    Buffer.from(signRotation(old, { federation, siteId: "a", key })).toString("hex");
  const replaced = (signedAs?: string) =>
    withKeyReplaced(
      roster,
      { siteId: "a", identityKey: key, ...(signedAs === undefined ? {} : { signature: signedAs }) },
      testTimes,
    );

  it("is another member, and whoever approves sees whether the old key vouches for it", () => {
    const signed = replaced(signature("demo"));
    expect(signed.roster).toMatchObject({ version: 2, sites: [{ siteId: "a", identityKey: key }, { siteId: "b" }] });
    const diff = rosterDiff(roster.roster, signed.roster);
    expect([ids(diff.added), ids(diff.removed), weakens(diff)]).toEqual([["a"], ["a"], true]);
    expect(diffLines(diff)[0]).toBe(`+ a (Hospital a) ${key}, signed by the key before`);
    expect(diffLines(rosterDiff(roster.roster, replaced().roster))[0]).toMatch(/, NOT signed by the key before$/);
    expect(parseSignedRoster(signedRosterText(signed))).toEqual(signed);
  });

  it("is refused with a signature of another federation or key, by whoever edits and whoever reads", () => {
    const fault = expect.objectContaining({ code: "roster-refused", remedy: expect.stringMatching(/telephone/) });
    for (const wrong of [signature("other"), "0".repeat(128)]) expect(() => replaced(wrong)).toThrow(fault);
    const text = signedRosterText(replaced(signature("demo"))).replace(signature("demo"), signature("other"));
    expect(() => parseSignedRoster(text)).toThrow(/the key before signed the one of a: it did not/);
  });

  it("must be active, and get another key than its own or another's", () => {
    const give = (siteId: string, identityKey: string) => () =>
      withKeyReplaced(roster, { siteId, identityKey }, testTimes);
    expect(give("c", key)).toThrow(expect.objectContaining({ code: "not-found" }));
    expect(give("a", formatPublicKey(old.publicKey))).toThrow(expect.objectContaining({ code: "already-exists" }));
    expect(give("a", formatPublicKey(keys.b))).toThrow(/a key twice/);
  });
});
