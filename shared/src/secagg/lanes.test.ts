import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { methodNames } from "../config/method-config.js";
import { randomFor } from "../random.js";
import { type FigureName, type Figures, figureNames, figureRanges, knownFigures, termsOf } from "./figures.js";
import {
  decodeLanes,
  encodeLane,
  type LaneName,
  laneNames,
  lanePermission,
  lanesFor,
  parseLanes,
  type SiteLanes,
} from "./lanes.js";
import { ringBoundOf } from "./protocol.js";

const scale = { weightCap: 1000, ringBound: ringBoundOf(3) };
const base = { weight: 1000, meanLoss: 1, steps: 1, clipped: 0 };

/** The figures' lanes of a run with every figure that there is. */
const everyLane: LaneName[] = [
  ...laneNames,
  ...figureNames.flatMap((figure): LaneName[] => {
    const value: LaneName = figure === "updateNorm" || figure === "cosine" ? figure : `term/${figure}`;
    return figureRanges[figure].over === "sites" ? [value, `sites/${figure}`] : [value];
  }),
];

/** Adds modulo 2^32, as masked vectors are added. */
function sumOf(
  sites: readonly SiteLanes[],
  { names = laneNames as readonly LaneName[], ringBound = scale.ringBound, random = () => 2 ** 31 } = {},
): Int32Array {
  const sums = new Int32Array(names.length);
  for (const site of sites) {
    names.forEach((name, i) => {
      sums[i] = sums[i]! + encodeLane(name, site, { ...scale, ringBound, random: random() });
    });
  }
  return sums;
}

describe("lanes", () => {
  it("come back as sums and a weighted mean", () => {
    const sums = sumOf([
      { weight: 1000, meanLoss: 2, steps: 50, clipped: 3, figures: {} },
      { weight: 500, meanLoss: 5, steps: 40, clipped: 0, figures: {} },
    ]);
    const lanes = decodeLanes(laneNames, sums, { ...scale, survivors: 2, dimension: 10 });
    expect(lanes).toMatchObject({ weight: 1500, steps: 90, clipped: 3, figures: {} });
    expect(lanes.loss).toBeCloseTo(3, 6);
  });

  it("cut a loss at 64", () => {
    const sums = sumOf([{ ...base, meanLoss: 1e9, figures: {} }]);
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

describe("figures", () => {
  const decode = (sites: readonly SiteLanes[], names = everyLane) => {
    const sums = sumOf(sites, { names });
    return decodeLanes(names, sums, { ...scale, survivors: sites.length, dimension: 10 }).figures;
  };

  it("are weighted by images like the loss, or are means over the sites that have one", () => {
    const figures = decode([
      { ...base, weight: 900, figures: { dino: 2, koleo: -1, featureSpread: 0.2, cosine: -0.5 } },
      { ...base, weight: 300, figures: { dino: 6, koleo: 3, featureSpread: 0.6, cosine: 0.25 } },
      { ...base, weight: 300, figures: { dino: 6, koleo: 3 } },
    ]);
    expect(figures.dino).toBeCloseTo((900 * 2 + 600 * 6) / 1500, 6);
    expect(figures.koleo).toBeCloseTo((-900 + 600 * 3) / 1500, 6);
    expect(figures.featureSpread).toBeCloseTo(0.4, 6);
    expect(figures.cosine).toBeCloseTo(-0.125, 6);
    expect(figures.effectiveRank).toBeUndefined();
  });

  it("are left out where one site alone has one", () => {
    const figures = decode([
      { ...base, figures: { cosine: 0.5 } },
      { ...base, figures: {} },
    ]);
    expect(figures.cosine).toBeUndefined();
  });

  it("are cut to their range, and nothing is made of what is no number", () => {
    const wild: Figures = { koleo: -1e9, cosine: 7, dino: Number.NaN, featureSpread: -3 };
    const figures = decode([
      { ...base, figures: wild },
      { ...base, figures: wild },
    ]);
    expect(figures).toMatchObject({ koleo: -64, cosine: 1, dino: 0, featureSpread: 0 });
  });

  it.each([
    ["term/featureSpread", -10],
    ["term/featureSpread", 3 * ringBoundOf(3)],
    ["sites/featureSpread", 3],
    ["term/teacherKl", -(2 ** 30)],
  ] as const)("refuse a sum of %s that honest sites cannot make: %i", (name, value) => {
    const sums = sumOf([{ ...base, figures: {} }], { names: everyLane });
    sums[everyLane.indexOf(name)] = value;
    const act = () => decodeLanes(everyLane, sums, { ...scale, survivors: 2, dimension: 10 });
    expect(act).toThrow(/cannot be/);
  });

  it("keep their mean to the rounding of each site, from 3 to 128 sites and to the ends of their ranges", () => {
    const site = fc.record({
      weight: fc.integer({ min: 50, max: 1000 }),
      has: fc.boolean(),
      at: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    });
    const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(
        fc.constantFrom(...figureNames),
        fc.array(site, { minLength: 3, maxLength: 128 }),
        word,
        (figure: FigureName, drawn, random) => {
          const { least, most, over } = figureRanges[figure];
          const has = (one: (typeof drawn)[number]) => over === "images" || one.has;
          const valueAt = ({ at }: (typeof drawn)[number]) => least + at * (most - least);
          const sites = drawn.map((one) => ({
            ...base,
            weight: one.weight,
            figures: has(one) ? { [figure]: valueAt(one) } : {},
          }));
          const ringBound = ringBoundOf(sites.length);
          const sums = sumOf(sites, { names: everyLane, ringBound, random: () => random });
          const survivors = sites.length;
          const { figures } = decodeLanes(everyLane, sums, { ...scale, ringBound, survivors, dimension: 10 });
          const counted = drawn.filter(has);
          if (over === "sites" && counted.length < 2) {
            expect(figures[figure]).toBeUndefined();
            return;
          }
          const shareOf = (one: (typeof drawn)[number]) => (over === "images" ? one.weight / scale.weightCap : 1);
          const shares = counted.reduce((sum, one) => sum + shareOf(one), 0);
          const mean = counted.reduce((sum, one) => sum + shareOf(one) * valueAt(one), 0) / shares;
          const largest = Math.max(-least, most);
          const tolerance = (survivors * largest) / (ringBound * shares) + 1e-9 * largest;
          expect(Math.abs(figures[figure]! - mean)).toBeLessThanOrEqual(tolerance);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("tell a collapsed teacher from a healthy one also where sites weigh little", () => {
    const ringBound = ringBoundOf(128);
    const drawn = randomFor("lanes");
    const random = () => Math.floor(drawn.uniform() * 2 ** 32);
    const sites = Array.from({ length: 128 }, () => ({ ...base, weight: 50, figures: { teacherKl: 0.002 } }));
    const weightCap = 100_000;
    const names: LaneName[] = ["weight", "term/teacherKl"];
    const sums = new Int32Array(2);
    for (const site of sites) {
      names.forEach((name, i) => {
        sums[i] = sums[i]! + encodeLane(name, site, { weightCap, ringBound, random: random() });
      });
    }
    const { figures } = decodeLanes(names, sums, { weightCap, ringBound, survivors: 128, dimension: 1 });
    expect(figures.teacherKl).toBeGreaterThan(0.001);
    expect(figures.teacherKl).toBeLessThan(0.003);
  });
});

describe("lanesFor", () => {
  const run = (name: (typeof methodNames)[number], strategy: "fedavg" | "fedprox" = "fedavg") => ({
    method: { name },
    aggregation: { strategy: { name: strategy } },
    monitor: { figures: "all" as const },
    privacy: { mode: "none" as const },
  });

  it("chooses by method and strategy", () => {
    expect(lanesFor(run("mae"))).toEqual([...laneNames, "updateNorm", "cosine", "sites/cosine"]);
    expect(lanesFor(run("simclr"))).toEqual([
      ...laneNames,
      ...["updateNorm", "cosine", "sites/cosine"],
      ...["term/featureSpread", "sites/featureSpread", "term/effectiveRank", "sites/effectiveRank"],
    ]);
    expect(lanesFor(run("mae", "fedprox"))).toContain("term/proximal");
    expect(lanesFor({ ...run("dinov2"), monitor: { figures: "loss" } })).toEqual(laneNames);
  });

  it("leaves nothing that images decide in a private run", () => {
    expect(lanesFor({ ...run("mae"), privacy: { mode: "patient" } })).toEqual(["weight", "steps"]);
    expect(lanesFor({ ...run("mae"), privacy: { mode: "site" } })).toEqual(["weight"]);
  });

  it.each(methodNames)("makes lanes of %s that a site takes", (name) => {
    const lanes = lanesFor(run(name, "fedprox"));
    expect(parseLanes(lanes)).toEqual(lanes);
    expect(lanes.filter((lane) => lane.startsWith("term/"))).toHaveLength(termsOf(run(name, "fedprox")).length);
  });
});

describe("parseLanes", () => {
  it("knows only these names, and needs the weight", () => {
    expect(parseLanes(["weight", "loss"])).toEqual(["weight", "loss"]);
    expect(() => parseLanes(["weight", "patients"])).toThrow(/unknown lane/);
    expect(() => parseLanes(["weight", "term/patients"])).toThrow(/unknown lane/);
    expect(() => parseLanes(["weight", "sites/dino"])).toThrow(/unknown lane/);
    expect(() => parseLanes(["loss"])).toThrow(/lack the weight/);
    expect(() => parseLanes(["weight", "weight"])).toThrow(/repeat/);
  });

  it("wants a figure and its count together", () => {
    expect(() => parseLanes(["weight", "cosine"])).toThrow(/lack sites\/cosine/);
    expect(() => parseLanes(["weight", "sites/featureSpread"])).toThrow(/lack term\/featureSpread/);
  });
});

it("lanePermission has one word for all terms", () => {
  expect(
    (["loss", "updateNorm", "sites/cosine", "term/dino", "sites/effectiveRank"] as const).map(lanePermission),
  ).toEqual(["loss", "updateNorm", "cosine", "terms", "terms"]);
});

it("knownFigures leaves out other names and what is not finite", () => {
  expect(knownFigures({ dino: 1, ibot: Number.NaN, patients: 3, toString: 1, koleo: undefined })).toEqual({ dino: 1 });
});
