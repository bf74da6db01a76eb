import { describe, expect, it } from "vitest";
import { isSiteId, requireFloor, ringBoundOf, thresholdOf } from "./protocol.js";

describe("thresholdOf", () => {
  it.each([
    [3, 0, 2],
    [3, 1, 3],
    [5, 1, 4],
    [7, 2, 5],
    [10, 2, 7],
    [20, 4, 13],
    [50, 10, 31],
    [128, 25, 77],
  ])("%i sites with %i colluders need %i shares", (sites, colluders, threshold) => {
    expect(thresholdOf(sites, colluders)).toBe(threshold);
    expect(2 * threshold).toBeGreaterThan(sites + colluders);
  });
});

describe("ringBoundOf", () => {
  it("lets as many full coordinates as there are sites fit a signed word", () => {
    for (const sites of [3, 7, 128]) {
      expect(sites * ringBoundOf(sites)).toBeLessThanOrEqual(2 ** 31 - 1);
      expect(sites * (ringBoundOf(sites) + 1)).toBeGreaterThan(2 ** 31 - 1);
    }
  });
});

describe("requireFloor", () => {
  it("asks for three advertisers even where two would do for the sum", () => {
    const floors = { advertisers: 2, colluders: 0, minCohort: 2 };
    expect(() => requireFloor("advertise", 2, floors)).toThrow(/at least 3/);
  });

  it("asks for the threshold or the plan's cohort, whichever is more", () => {
    const floors = { advertisers: 5, colluders: 1, minCohort: 2 };
    expect(() => requireFloor("unmask", 3, floors)).toThrow(/at least 4/);
    expect(() => requireFloor("unmask", 4, { ...floors, minCohort: 5 })).toThrow(/at least 5/);
    requireFloor("unmask", 4, floors);
  });
});

describe("isSiteId", () => {
  it("refuses what could blur the boundary between ids", () => {
    expect(isSiteId("hospital-1")).toBe(true);
    for (const text of ["", "a\0b", "A", "-a", "a/b", "a".repeat(64)]) expect(isSiteId(text)).toBe(false);
  });
});
