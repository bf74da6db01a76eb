import { describe, expect, it } from "vitest";
import { IdentityKey } from "../identity/identity-key.js";
import { formatPublicKey } from "../identity/public-key-text.js";
import { withoutSite, withSite } from "./edit-roster.js";
import { testGovernance, testRoster, testTimes } from "./example-governance.js";
import { rosterDiff, weakens } from "./roster-diff.js";

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
    const diff = rosterDiff(before.roster, withSite(before, site("b"), testTimes).roster);
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
