import { describe, expect, it } from "vitest";
import { decodeLanes, encodeLane, laneNames, parseLanes, type SiteLanes } from "./lanes.js";
import { ringBoundOf } from "./protocol.js";

const scale = { weightCap: 1000, ringBound: ringBoundOf(3) };

function sumOf(sites: readonly SiteLanes[]): Int32Array {
  const sums = new Int32Array(laneNames.length);
  for (const site of sites) {
    laneNames.forEach((name, i) => {
      sums[i] = sums[i]! + encodeLane(name, site, { ...scale, random: 2 ** 31 });
    });
  }
  return sums;
}

describe("lanes", () => {
  it("come back as sums and a weighted mean", () => {
    const sums = sumOf([
      { weight: 1000, meanLoss: 2, steps: 50, clipped: 3 },
      { weight: 500, meanLoss: 5, steps: 40, clipped: 0 },
    ]);
    const lanes = decodeLanes(laneNames, sums, { ...scale, survivors: 2, dimension: 10 });
    expect(lanes).toMatchObject({ weight: 1500, steps: 90, clipped: 3 });
    expect(lanes.loss).toBeCloseTo(3, 6);
  });

  it("cut a loss at 64", () => {
    const sums = sumOf([{ weight: 1000, meanLoss: 1e9, steps: 1, clipped: 0 }]);
    expect(decodeLanes(laneNames, sums, { ...scale, survivors: 1, dimension: 10 }).loss).toBeCloseTo(64, 5);
  });

  it.each([
    ["weight 0", [0, 0, 0, 0]],
    ["a weight above the cap", [2001, 0, 0, 0]],
    ["a negative loss", [1000, -5, 0, 0]],
    ["negative steps", [1000, 0, -1, 0]],
    ["more clipped than there is", [1000, 0, 0, 21]],
  ])("refuse %s", (_, sums) => {
    const decode = () => decodeLanes(laneNames, new Int32Array(sums), { ...scale, survivors: 2, dimension: 10 });
    expect(decode).toThrow(/cannot be/);
  });
});

describe("parseLanes", () => {
  it("knows only these names, and needs the weight", () => {
    expect(parseLanes(["weight", "loss"])).toEqual(["weight", "loss"]);
    expect(() => parseLanes(["weight", "patients"])).toThrow(/unknown lane/);
    expect(() => parseLanes(["loss"])).toThrow(/lack the weight/);
    expect(() => parseLanes(["weight", "weight"])).toThrow(/repeat/);
  });
});
