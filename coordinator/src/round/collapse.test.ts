import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import type { Figures } from "@consilium/shared/secagg/figures.js";
import { describe, expect, it } from "vitest";
import {
  type CollapseThresholds,
  collapseReason,
  collapseThresholds,
  type WatchedRound,
  watchAlso,
} from "./collapse.js";

const thresholds: CollapseThresholds = {
  ...{ minFeatureSpread: 0.05, minEffectiveRank: 1.5, patienceRounds: 3 },
  ...{ firstRound: 11, lastRound: 99, largestEntropy: Math.log(1000) },
};

const rounds = (figures: readonly Figures[], first = 20): WatchedRound[] =>
  figures.map((one, index) => ({ round: first + index, figures: one }));
const reasonOf = (...figures: Figures[]) => collapseReason(rounds(figures), thresholds);
const spread = (...values: number[]) => values.map((featureSpread): Figures => ({ featureSpread }));
const rank = (...values: number[]) => values.map((effectiveRank): Figures => ({ featureSpread: 0.5, effectiveRank }));
const teacher = (share: number, teacherKl = 1e-4): Figures => {
  return { featureSpread: 0.5, effectiveRank: 9, teacherEntropy: share * Math.log(1000), teacherKl };
};

describe("collapseReason", () => {
  it("says which figure was low, how low, and when", () => {
    expect(reasonOf(...spread(0.04, 0.03, 0.02))).toBe(
      "collapsed: spread of features 0.02, below 0.05, in rounds 20 to 22",
    );
    expect(reasonOf(...rank(1.2, 1.1, 1.0012))).toBe("collapsed: rank of features 1, below 1.5, in rounds 20 to 22");
    expect(reasonOf(teacher(0.005), teacher(0.004), teacher(0.001))).toMatch(/certain of one answer.* 0\.1 %/);
    expect(reasonOf(teacher(0.9995), teacher(0.9999), teacher(1))).toMatch(/undecided about every image.* 100 %/);
  });

  it.each<readonly [string, Figures[]]>([
    ["healthy features", spread(0.6, 0.5, 0.55)],
    ["a round in between", spread(0.01, 0.2, 0.01)],
    ["a threshold that is met exactly", spread(0.05, 0.05, 0.05)],
    ["too few rounds", spread(0.01, 0.01)],
    ["features that come apart again", spread(0.01, 0.02, 0.04)],
    ["no figures, as of MAE", [{}, {}, {}]],
    ["a round without the figure", [{ featureSpread: 0.01 }, {}, { featureSpread: 0.01 }]],
    ["a certain teacher that a student still has to learn from", [teacher(0.001, 2), teacher(0.001, 2), teacher(0, 2)]],
    ["a teacher that is neither certain nor undecided", [teacher(0.5), teacher(0.5), teacher(0.5)]],
    ["a teacher that goes from one end to the other", [teacher(0), teacher(1), teacher(0)]],
  ])("is silent about %s", (_, figures) => expect(reasonOf(...figures)).toBeUndefined());

  it("looks at the newest rounds alone", () => {
    expect(reasonOf(...spread(0.6, 0.6, 0.01, 0.01, 0.01))).toMatch(/rounds 22 to 24/);
  });

  it("has nothing to say where nobody asked, or after the last round", () => {
    const collapsed = rounds(spread(0.01, 0.01, 0.01), 98);
    expect(collapseReason(collapsed, null)).toBeUndefined();
    expect(collapseReason(collapsed, thresholds)).toBeUndefined();
    expect(collapseReason(collapsed, { ...thresholds, lastRound: 100 })).toMatch(/^collapsed/);
  });

  it("needs a head of more than one prototype to judge a teacher", () => {
    const same = rounds([teacher(0), teacher(0), teacher(0)]);
    for (const largestEntropy of [null, 0]) {
      expect(collapseReason(same, { ...thresholds, largestEntropy })).toBeUndefined();
    }
  });
});

describe("watchAlso", () => {
  it("begins after the first tenth of the run and forgets what patience does not reach", () => {
    let watched: readonly WatchedRound[] = [];
    for (let round = 9; round <= 15; round++) watched = watchAlso(watched, { round, figures: {} }, thresholds);
    expect(watched.map(({ round }) => round)).toEqual([13, 14, 15]);
    expect(watchAlso([], { round: 10, figures: {} }, thresholds)).toEqual([]);
    expect(watchAlso([], { round: 50, figures: {} }, null)).toEqual([]);
  });
});

describe("collapseThresholds", () => {
  const run = (method: object, monitor: object = {}) =>
    runConfigSchema.parse({
      ...{ name: "r", modality: "dermatology", model: { architecture: "vit-tiny" }, rounds: 45 },
      ...{ method, monitor, optimizer: { learningRate: 0.001 } },
    });

  it("come from the run file", () => {
    expect(collapseThresholds(run({ name: "simclr" }))).toEqual({
      ...{ minFeatureSpread: 0.05, minEffectiveRank: 1.1, patienceRounds: 3 },
      ...{ firstRound: 6, lastRound: 44, largestEntropy: null },
    });
    const own = { minFeatureSpread: 0.1, minEffectiveRank: 3, patienceRounds: 1 };
    expect(collapseThresholds(run({ name: "dino", outputDim: 4096 }, own))).toMatchObject({
      ...own,
      largestEntropy: Math.log(4096),
    });
    expect(collapseThresholds(run({ name: "simclr" }, { collapse: "off" }))).toBeNull();
  });

  it.each(["mae", "gmml", "colorme"])("are not there for %s, which restores pixels", (name) => {
    expect(collapseThresholds(run({ name }))).toBeNull();
  });

  it("are not there for clusters, which have no encoder", () => {
    const config = { name: "r", modality: "dermatology", method: { name: "clusters" }, rounds: 45 };
    expect(collapseThresholds(runConfigSchema.parse(config))).toBeNull();
  });
});
