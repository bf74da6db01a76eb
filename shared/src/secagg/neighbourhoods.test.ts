import { describe, expect, it } from "vitest";
import { neighbourhoodsOf } from "./neighbourhoods.js";
import { thresholdOf } from "./protocol.js";

const sitesOf = (count: number) => Array.from({ length: count }, (_, i) => `site-${String(i).padStart(3, "0")}`);
const seeded = (colluders: number, fill = 1) => ({ colluders, advertsDigest: new Uint8Array(32).fill(fill) });

describe("neighbourhoodsOf", () => {
  it("puts everyone with everyone up to 128 sites, with the threshold of the whole cohort", () => {
    const sites = sitesOf(128);
    const { threshold, neighboursOf, holdersOf } = neighbourhoodsOf(sites, seeded(25));
    expect(threshold).toBe(thresholdOf(128, 25));
    expect(neighboursOf("site-005")).toEqual(sites.filter((site) => site !== "site-005"));
    expect(holdersOf("site-005")).toEqual(sites);
  });

  it("makes a symmetric ring of more sites, by the adverts' digest", () => {
    const sites = sitesOf(200);
    const { threshold, neighboursOf, holdersOf } = neighbourhoodsOf(sites, seeded(20));
    const degree = neighboursOf(sites[0]!).length;
    expect(degree).toBeLessThan(60);
    expect(threshold).toBeGreaterThan(degree / 2);
    for (const site of sites) {
      const around = neighboursOf(site);
      expect(around).toHaveLength(degree);
      expect(around).not.toContain(site);
      expect([...around].sort()).toEqual(around);
      expect(holdersOf(site)).toEqual(around);
      for (const other of around) expect(neighboursOf(other)).toContain(site);
    }
    expect(neighbourhoodsOf(sites, seeded(20)).neighboursOf(sites[0]!)).toEqual(neighboursOf(sites[0]!));
    expect(neighbourhoodsOf(sites, seeded(20, 2)).neighboursOf(sites[0]!)).not.toEqual(neighboursOf(sites[0]!));
  });
});
