import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundsOn, type LostAttempt, learnFromAdvert, type Past } from "./lost-attempts.js";
import { type SumSize, safeSites, whatIsMissing } from "./safe-sites.js";

const everyone = ["a", "b", "c", "d", "e", "f", "g", "h"];

function lostAttempt(survivors: readonly string[], change: Partial<LostAttempt> = {}): LostAttempt {
  return { attempt: 1, advertisers: survivors, sharers: survivors, survivors, confirmed: survivors, ...change };
}

const past = (lostAttempts: readonly LostAttempt[], abortedBy: readonly string[] = [], colluders = 1): Past => ({
  lostAttempts,
  aborts: abortedBy.map((siteId) => ({ siteId, attempt: 1, signature: "" })),
  rules: { colluders },
});

/** The rule as sites enforce it, said once more. */
function accepts(lists: readonly LostAttempt[], sites: readonly string[], colluders: number): boolean {
  return lists.every(({ survivors }) => {
    const [before, now] = [new Set(survivors), new Set(sites)];
    const changed = everyone.filter((site) => before.has(site) !== now.has(site)).length;
    return changed === 0 || changed >= colluders + 2 || survivors.every((site) => !now.has(site));
  });
}

const subsetsOf = (sites: readonly string[]): string[][] => {
  return Array.from({ length: 2 ** sites.length }, (_, mask) => sites.filter((_site, i) => (mask >> i) & 1));
};

const someSites = fc.subarray(everyone);
const setting = fc.record({
  present: someSites,
  lists: fc.array(fc.subarray(everyone, { minLength: 3 }), { minLength: 1, maxLength: 3 }),
  refusing: fc.subarray(everyone, { maxLength: 2 }),
  colluders: fc.nat(2),
  fewest: fc.integer({ min: 2, max: 5 }),
  most: fc.integer({ min: 5, max: 8 }),
});

describe("whom a sum may be over after attempts were lost", () => {
  const choose = ({
    present,
    lists,
    refusing,
    colluders,
    fewest,
    most,
  }: typeof setting extends fc.Arbitrary<infer T> ? T : never) => {
    const unproven = lists.map((list) => lostAttempt(list));
    const size: SumSize = { fewest, most, colluders };
    return { unproven, chosen: safeSites(present, { unproven, refusing: new Set(refusing) }, size) };
  };

  it("is only ever a set that all of its sites accept", () => {
    fc.assert(
      fc.property(setting, (how) => {
        const { unproven, chosen } = choose(how);
        if (chosen === undefined) return;
        expect(accepts(unproven, chosen, how.colluders)).toBe(true);
        expect(how.present).toEqual(expect.arrayContaining([...chosen]));
        expect(chosen.filter((site) => how.refusing.includes(site))).toEqual([]);
        expect(chosen.length).toBeGreaterThanOrEqual(how.fewest);
        expect(chosen.length).toBeLessThanOrEqual(how.most);
      }),
      { numRuns: 1000 },
    );
  });

  it("is as large as any, after one lost attempt, and none only where there is none", () => {
    fc.assert(
      fc.property(setting, (how) => {
        const one = { ...how, lists: how.lists.slice(0, 1) };
        const { unproven, chosen } = choose(one);
        const sizes = subsetsOf(one.present.filter((site) => !one.refusing.includes(site)))
          .filter((sites) => sites.length >= one.fewest && sites.length <= one.most)
          .filter((sites) => accepts(unproven, sites, one.colluders))
          .map(({ length }) => length);
        expect(chosen?.length).toBe(sizes.length === 0 ? undefined : Math.max(...sizes));
      }),
      { numRuns: 500 },
    );
  });
});

describe("what a lost attempt leaves open", () => {
  const five = everyone.slice(0, 5);

  it("nothing, once enough of its sites gave it up or are about to", () => {
    const lost = [lostAttempt(five, { confirmed: ["a"] })];
    expect(boundsOn(past(lost, ["b", "c"]), []).unproven).toEqual(lost);
    expect(boundsOn(past(lost, ["b", "c"]), ["d"]).unproven).toEqual([]);
    expect(boundsOn(past(lost, ["b", "c"]), ["a"]).unproven).toEqual(lost);
    expect(boundsOn(past(lost, ["b", "c", "d"]), []).unproven).toEqual([]);
  });

  it("sites that uploaded and confirmed nothing enter no sum until then", () => {
    const lost = [lostAttempt(["a", "b", "c", "d"], { advertisers: five, sharers: five, confirmed: ["a", "b", "c"] })];
    expect([...boundsOn(past(lost, ["d"]), []).refusing]).toEqual(["d", "e"]);
  });

  it("a site that advertises without giving it up has confirmed", () => {
    const lost = [lostAttempt(five, { confirmed: ["b"] })];
    expect(learnFromAdvert(lost, "a", [])[0]!.confirmed).toEqual(["a", "b"]);
    expect(learnFromAdvert(lost, "a", [{ siteId: "a", attempt: 1, signature: "" }])).toEqual(lost);
    expect(learnFromAdvert(lost, "z", [])).toEqual(lost);
  });
});

describe("what stands in the way", () => {
  const size: SumSize = { fewest: 3, most: 10, colluders: 1 };
  const four = everyone.slice(0, 4);

  it("names the sites that are gone, and how many others would do", () => {
    const because = "in attempt 1, which was lost, sites confirmed a sum with d";
    const missing = (fewest: number) => whatIsMissing(past([lostAttempt(four)]), ["a", "b", "c"], { ...size, fewest });
    expect(missing(4)).toBe(`d or 2 other sites: ${because}`);
    // Then one of the three that are there is left out too.
    expect(missing(3)).toBe(`d or 1 other site: ${because}`);
    expect(whatIsMissing(past([lostAttempt(four)]), four, size)).toBe("");
    expect(whatIsMissing(past([lostAttempt(four)]), ["a", "b", "c", "e", "f"], size)).toBe("");
  });

  it("names those whose word would prove that a lost attempt can never be summed", () => {
    const lost = [lostAttempt([], { advertisers: four, sharers: four, confirmed: [] })];
    expect(whatIsMissing(past(lost), ["a", "b", "e"], size)).toBe(
      "c, d or 2 other sites: nothing proves yet that attempt 1, which was lost, can never be summed",
    );
    expect(whatIsMissing(past(lost), ["a", "b", "c"], size)).toBe("");
  });
});
