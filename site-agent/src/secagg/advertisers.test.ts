import type { KeyAdvert } from "@consilium/shared/protocol.js";
import { describe, expect, it } from "vitest";
import { verifyAdvertisers } from "./advertisers.js";
import { planFacts } from "./plan-facts.js";
import { sessionOf, TestAttempt, type TestMember, testFloors, testMember, testPlan } from "./test-cohort.js";

const members = ["a", "b", "c", "d"].map(testMember);
const anew = (member: TestMember): TestMember => ({ ...member, records: new Map() });
const advertising = (plan = {}) => new TestAttempt(members.map(anew), plan).advertise().adverts;

/** What site a says of a list, its own advert the first, in an attempt with these terms and floors. */
function verify(adverts: readonly KeyAdvert[], { plan = {}, floors = {} } = {}) {
  return verifyAdvertisers(planFacts(testPlan(plan), { ...testFloors, ...floors }), adverts[0]!, adverts);
}

const roster = (sites: readonly TestMember[]) => ({
  members: new Map(sites.map(({ siteId, identity }) => [siteId, identity.publicKey])),
});

describe("the list of advertisers", () => {
  it("is taken in any order, whole or without some", () => {
    const adverts = advertising();
    const [a, b, c, d] = adverts;
    expect(verify([a!, d!, c!, b!]).adverts).toEqual(adverts);
    expect(verify([a!, b!, d!]).adverts).toEqual([a, b, d]);
  });

  it.each([
    ["below the floor", { plan: { minCohort: 5 } }, /has 4 sites; at least 5 are needed/],
    ["larger than its plan", { plan: { cohortSize: 3 } }, /4 sites advertised; the plan has 3/],
    ["of a site that the roster does not have", { floors: roster(members.slice(0, 3)) }, /"d" .* no active site/],
    [
      "of a site that the roster has under another key",
      { floors: roster([...members.slice(0, 3), { ...members[3]!, identity: members[2]!.identity }]) },
      /"d" .* another identity key in the roster/,
    ],
    ["of a site that the run does not take", { floors: { runSites: ["a", "b", "c"] } }, /"d" .* none of the sites/],
    [
      "without the peers that the policy requires",
      { floors: { requiredPeers: { atLeast: 2, of: ["d", "e", "f"] } } },
      /has 1 of the sites that the policy requires; 2 are needed/,
    ],
  ])("is refused when it is %s", (_, terms, reason) => {
    const adverts = advertising("plan" in terms ? terms.plan : {});
    expect(() => verify(adverts, terms)).toThrow(reason);
  });

  it("is refused when a site stands there twice, or for another plan than this", () => {
    const [a, b, c, d] = advertising();
    expect(() => verify([a!, b!, c!, c!])).toThrow(/"c" repeats an id or a key/);
    const [, , , foreign] = advertising({ minCohort: 3 });
    expect(() => verify([a!, b!, c!, foreign!])).toThrow(/"d" is not signed/);
    expect(() => verify([a!, b!, c!, { ...d!, nonce: foreign!.nonce }])).toThrow(/"d" is not signed/);
  });

  it("is refused when the site's own advert is another one, or missing", () => {
    const adverts = advertising();
    const second = sessionOf(anew(members[0]!), testPlan()).advertise().advert;
    const facts = planFacts(testPlan(), testFloors);
    expect(() => verifyAdvertisers(facts, second, adverts)).toThrow(/lacks this site's own, or changed it/);
    expect(() => verifyAdvertisers(facts, adverts[0]!, adverts.slice(1))).toThrow(/lacks this site's own/);
  });
});
