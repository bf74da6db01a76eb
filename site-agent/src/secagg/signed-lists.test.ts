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
