import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { graphSeed, maskingGraph, neighboursOf, ringParameters, sitesOf } from "./graph.js";
import { thresholdOf } from "./protocol.js";

function ringFor(
  sites: number,
  [corrupt, drop]: readonly [number, number],
  coordinator: "semi-honest" | "semi-malicious",
  securityBits: number,
) {
  const colluders = sitesOf(corrupt, sites);
  return ringParameters({ sites, colluders, dropouts: sitesOf(drop, sites), coordinator, securityBits });
}

describe("the search for a ring", () => {
  /** From the unit tests of google/federated-compute, which bound the threshold from above. */
  const published = [
    [100, 0.45, 0.45, "semi-honest", 92, 46],
    [1000, 0.45, 0.45, "semi-honest", 822, 417],
    [10, 0.33, 0.33, "semi-honest", 8, 4],
    [100, 0.33, 0.33, "semi-honest", 68, 34],
    [1000, 0.33, 0.33, "semi-honest", 286, 150],
    [100, 0.3, 0.3, "semi-malicious", 92, 62],
    [1000, 0.3, 0.3, "semi-malicious", 872, 584],
    [10, 0.05, 0.33, "semi-honest", 4, 2],
    [100, 0.05, 0.33, "semi-honest", 28, 6],
    [1000, 0.05, 0.33, "semi-honest", 72, 24],
    [10, 0.05, 0.33, "semi-malicious", 8, 5],
    [100, 0.05, 0.33, "semi-malicious", 72, 39],
    [1000, 0.05, 0.33, "semi-malicious", 398, 223],
    [10, 0.33, 0.05, "semi-honest", 4, 4],
    [100, 0.33, 0.05, "semi-honest", 34, 29],
    [1000, 0.33, 0.05, "semi-honest", 78, 60],
    [10, 0.33, 0.05, "semi-malicious", 4, 4],
    [100, 0.33, 0.05, "semi-malicious", 42, 37],
    [1000, 0.33, 0.05, "semi-malicious", 132, 109],
    [1000, 0.05, 0.05, "semi-malicious", 52, 37],
    [100, 0, 0.33, "semi-malicious", 68, 35],
  ] as const;

  it.each(published)("%i sites, %f corrupt, %f dropped, %s: degree %i", (sites, corrupt, drop, coordinator, k, t) => {
    const ring = ringFor(sites, [corrupt, drop], coordinator, 40)!;
    expect(ring.degree).toBe(k);
    expect(ring.threshold).toBeLessThanOrEqual(t);
  });

  const rates = [
    [0.05, 0.05],
    [0.1, 0.1],
    [0.2, 0.1],
    [0.33, 0.1],
  ] as const;
  const at60Bits = [
    [128, "20/14 38/26 50/38 68/56"],
    [200, "30/21 56/39 80/61 104/84"],
    [300, "38/27 72/51 104/79 140/112"],
    [500, "48/35 90/64 128/97 188/150"],
  ] as const;

  it.each(at60Bits)("%i sites against a semi-malicious coordinator at 60 bits: %s", (sites, expected) => {
    const rings = rates.map((pair) => ringFor(sites, pair, "semi-malicious", 60)!);
    expect(rings.map(({ degree, threshold }) => `${degree}/${threshold}`).join(" ")).toBe(expected);
  });

  it("finds none where only the complete graph will do", () => {
    expect(ringFor(10, [0.33, 0.33], "semi-malicious", 60)).toBeUndefined();
  });

  it("leaves cohorts of up to 128 complete, and 500 sites searched in under two seconds", () => {
    expect(maskingGraph({ sites: 128, colluders: 25, dropouts: 12 })).toEqual({ degree: 127, threshold: 77 });
    const begun = performance.now();
    expect(maskingGraph({ sites: 500, colluders: 100, dropouts: 50 })).toEqual({ degree: 128, threshold: 97 });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it("falls back to the complete graph when too many may drop out", () => {
    const sites = 130;
    const threshold = thresholdOf(sites, 60);
    expect(maskingGraph({ sites, colluders: 60, dropouts: 60 })).toEqual({ degree: 129, threshold });
  });
});

describe("neighbours", () => {
  const seed = (name: string) => graphSeed(createHash("sha256").update(name).digest());

  it("are symmetric, distinct, never the site itself, and as many for each", () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 150 }), fc.nat(), fc.string(), (sites, wish, name) => {
        const degree = 2 + 2 * (wish % Math.floor((sites - 2) / 2));
        const neighbours = neighboursOf(sites, degree, seed(name));
        for (const [site, own] of neighbours.entries()) {
          expect(new Set(own).size).toBe(degree);
          expect(own).not.toContain(site);
          expect(own.every((other) => neighbours[other]!.includes(site))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are all others in the complete graph", () => {
    expect(neighboursOf(4, 3, seed("a"))).toEqual([
      [1, 2, 3],
      [0, 2, 3],
      [0, 1, 3],
      [0, 1, 2],
    ]);
  });

  it("stay the same for a seed, for ever", () => {
    const ring = neighboursOf(200, 80, seed("published"));
    expect(createHash("sha256").update(JSON.stringify(ring)).digest("hex")).toMatchInlineSnapshot(
      `"2ed1385d1a5e03394ba4615bbb68316698971f8147d9b1835d12c418a7fe0548"`,
    );
    expect(neighboursOf(200, 80, seed("other"))).not.toEqual(ring);
  });

  it("meet every other site equally often", () => {
    const sites = 11;
    const met = new Array<number>(sites).fill(0);
    const seeds = 4000;
    for (let i = 0; i < seeds; i++) for (const other of neighboursOf(sites, 4, seed(`${i}`))[0]!) met[other]!++;
    const expected = (seeds * 4) / (sites - 1);
    // χ² with 9 degrees of freedom: below 33.7 but for one case in ten thousand, and these seeds never change.
    const chi = met.slice(1).reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chi).toBeLessThan(33.7);
  });

  it.each([
    [10, 3],
    [10, 10],
    [10, 0],
    [10, 2.5],
  ])("refuse %i sites of degree %f", (sites, degree) => {
    expect(() => neighboursOf(sites, degree, seed("a"))).toThrow(/no ring/);
  });
});
