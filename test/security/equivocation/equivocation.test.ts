import { describe, expect, it } from "vitest";
import { type Confirmation, certifiedLists, type Evidence, noEvidence, violations } from "./evidence.js";
import { type Simulated, simulate } from "./simulate.js";

const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed);
const nobody = { colluding: [], colluders: 0 };

describe("a coordinator that tells sites different things", () => {
  let simulated: Simulated[];

  it("L: 200 coordinators that equivocate at random get no two sums that tell a site apart, and never both secrets of one", () => {
    simulated = seeds(200).map((seed) => simulate(seed));
    for (const [seed, { violations: found }] of simulated.entries()) expect(found, `seed ${seed}`).toEqual([]);
  }, 240_000);

  it("comes as far as it can: sums are made, also two in one round, and every rule is run into", () => {
    const refusals = new Set(simulated.flatMap((one) => one.refusals));
    const rules = ["attempt-is-new", "said-once", "survivors-once", "abort-certificate", "survivors-difference"];
    expect([...refusals]).toEqual(
      expect.arrayContaining([...rules, "confirmations-enough", "own-advert", "list-with-self"]),
    );
    expect(simulated.filter(({ sums }) => sums > 0).length).toBeGreaterThan(60);
    expect(simulated.filter(({ sums }) => sums > 1).length).toBeGreaterThan(5);
  });

  it("succeeds against sites that forget what they promised", () => {
    const tells = (seed: number) =>
      simulate(seed, { remembers: false }).violations.some((text) => text.includes("tell"));
    expect(seeds(200).some(tells)).toBe(true);
  }, 240_000);

  it("does the same again for the same seed", () => {
    expect(simulate(17)).toEqual(simulated[17]);
  });
});

describe("what counts as a broken promise", () => {
  const base = { attempt: 1, context: "c", binding: "c/1/2", list: "l", advertisers: ["a", "b", "c"], threshold: 2 };
  const confirmed = (siteId: string, survivors: string[], change: Partial<Confirmation> = {}): Confirmation => {
    return { siteId, survivors, ...base, ...change };
  };
  const evidence = (change: Partial<Evidence>): Evidence => ({ ...noEvidence(), ...change });
  const all = ["a", "b", "c"];
  const once = [confirmed("a", all), confirmed("b", all)];

  it("a second list in one attempt, and a confirmation of what was given up", () => {
    expect(violations(evidence({ confirmations: once }), nobody)).toEqual([]);
    const twice = [...once, confirmed("a", ["a", "b"], { list: "m" })];
    expect(violations(evidence({ confirmations: twice }), nobody)).toEqual([
      "a signed two lists of survivors in attempt 1",
    ]);
    expect(violations(evidence({ confirmations: once, aborts: [{ siteId: "b", context: "c" }] }), nobody)).toEqual([
      "b confirmed survivors of attempt 1, which it gave up",
    ]);
  });

  it("both kinds of share, from one holder or from enough with those of colluding sites", () => {
    const share = { owner: "b", keys: "k", advertisers: all, threshold: 2 };
    const self = { ...share, holder: "a", kind: "selfShare" } as const;
    const pair = { ...share, holder: "a", kind: "pairwiseShare" } as const;
    expect(violations(evidence({ reveals: [self, pair] }), nobody)).toEqual(["a gave both kinds of share of b"]);
    const others = [self, { ...pair, holder: "b" }];
    expect(violations(evidence({ reveals: others }), nobody)).toEqual([]);
    expect(violations(evidence({ reveals: others }), { colluding: ["c"], colluders: 1 })).toEqual([
      "both secrets of b can be worked out",
    ]);
  });

  it("two sums that can be unmasked and differ by too few sites", () => {
    const again = { attempt: 2, context: "d", binding: "d/1/2" };
    const second = (survivors: string[]) => survivors.slice(0, 2).map((site) => confirmed(site, survivors, again));
    const found = (survivors: string[]) =>
      violations(evidence({ confirmations: [...once, ...second(survivors)] }), nobody);
    expect(found(all)).toEqual([]);
    expect(found(["a", "b"])).toEqual(["the sums of attempts 1 and 2 tell c apart"]);
    expect(found(["a", "b", "d"])).toEqual([]);
    expect(certifiedLists(evidence({ confirmations: once.slice(0, 1) }), nobody)).toEqual([]);
    expect(
      certifiedLists(evidence({ confirmations: once.slice(0, 1) }), { colluding: ["b"], colluders: 1 }),
    ).toHaveLength(1);
  });
});
