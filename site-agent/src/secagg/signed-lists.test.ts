import { completeNeighbourhoods } from "@consilium/shared/secagg/neighbourhoods.js";
import { sharersDigest } from "@consilium/shared/secagg/transcript.js";
import { describe, expect, it } from "vitest";
import { type Advertisers, verifyAdvertisers } from "./advertisers.js";
import { planFacts } from "./plan-facts.js";
import { verifySharers, verifySurvivors } from "./signed-lists.js";
import { TestAttempt, testFloors, testMember, testPlan } from "./test-cohort.js";

const sites = ["a", "b", "c", "d", "e"];
const around = ["a", "b", "c", "d"];
const tooFew = /3 of this site's neighbours are left; 4 are needed/;

/** Site a before any list of sharers and of survivors, with other floors or peers than the test's. */
async function lists(changes: Partial<Advertisers> = {}) {
  const attempt = await TestAttempt.through("upload", sites.map(testMember));
  const facts = planFacts(testPlan(), testFloors);
  const verified = verifyAdvertisers(facts, attempt.advertisements.get("a")!.advert, attempt.adverts);
  // As where masks are spread so thinly that the neighbourhood asks for less than the floors do.
  const neighbourhoods = completeNeighbourhoods(sites, 2);
  const advertisers: Advertisers = { ...verified, neighbourhoods, ...changes };
  const { root, signature } = attempt.sealed.get("a")!;
  const binding = { ...advertisers.binding, sharersDigest: sharersDigest(attempt.deliveryFor("a").sharers) };
  const uploaded = { advertisers, binding, own: attempt.uploads.get("a")!, sharers: sites, words: 10 };
  return {
    sharers: (of: readonly string[]) =>
      verifySharers({ advertisers, own: { siteId: "a", root, signature } }, attempt.deliveryFor("a", of)),
    survivors: (of: readonly string[]) => verifySurvivors(uploaded, attempt.survivors(of)),
  };
}

describe.each(["sharers", "survivors"] as const)("the list of %s", (list) => {
  it("may not be below the floors", async () => {
    const { [list]: verify } = await lists({ floors: { advertisers: 5, colluders: 0, minCohort: 4 } });
    expect(verify(around)).toEqual(around);
    expect(() => verify(around.slice(0, 3))).toThrow(/has 3 sites; at least 4 are needed/);
  });

  it("must have the peers that the policy requires", async () => {
    const { [list]: verify } = await lists({ requiredPeers: { atLeast: 2, of: ["c", "d", "e"] } });
    expect(verify(around)).toEqual(around);
    expect(() => verify(["a", "b", "e"])).toThrow(/has 1 of the sites that the policy requires; 2 are needed/);
  });
});

/** An attempt in which, as on a ring, not everyone counts for site a: four sites do, and all four are needed. */
async function ringed() {
  const attempt = await TestAttempt.through("upload", sites.map(testMember));
  const facts = planFacts(testPlan(), testFloors);
  const complete = verifyAdvertisers(facts, attempt.advertisements.get("a")!.advert, attempt.adverts);
  const neighbourhoods = { ...completeNeighbourhoods(sites, 4), holdersOf: () => around };
  const advertisers: Advertisers = { ...complete, neighbourhoods };
  return { attempt, advertisers };
}

describe("a site's own neighbourhood", () => {
  it("must be left among the sharers, not only enough sites in all", async () => {
    const { attempt, advertisers } = await ringed();
    const { root, signature } = attempt.sealed.get("a")!;
    const own = { siteId: "a", root, signature };
    const verify = (sharers: readonly string[]) =>
      verifySharers({ advertisers, own }, attempt.deliveryFor("a", sharers));
    expect(verify(around)).toEqual(around);
    expect(() => verify(["a", "b", "c", "e"])).toThrow(tooFew);
  });

  it("must be left among the survivors, not only enough sites in all", async () => {
    const { attempt, advertisers } = await ringed();
    const binding = { ...advertisers.binding, sharersDigest: sharersDigest(attempt.deliveryFor("a").sharers) };
    const own = attempt.uploads.get("a")!;
    const facts = { advertisers, binding, own, sharers: sites, words: 10 };
    expect(verifySurvivors(facts, attempt.survivors(around))).toEqual(around);
    expect(() => verifySurvivors(facts, attempt.survivors(["a", "b", "c", "e"]))).toThrow(tooFew);
  });
});
