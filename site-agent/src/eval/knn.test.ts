import { describe, expect, it } from "vitest";
import type { FeatureSet } from "./feature-set.js";
import { knnPredict, nearest, voteWeights } from "./knn.js";

const wave = (count: number, width: number, shift: number): FeatureSet => ({
  count,
  width,
  values: Float32Array.from({ length: count * width }, (_, index) => Math.sin(0.7 * index + shift)),
});
const train = wave(5, 4, 1);
const queries = wave(1, 4, 2);

describe("knn", () => {
  it("finds the published neighbours and weights", () => {
    const [found] = nearest(train, queries, 2);
    expect(Array.from(found!.rows)).toEqual([0, 3]);
    const [first, second] = found!.similarities;
    expect(Math.exp(first! / 0.07) / 1404.3729178097506).toBeCloseTo(1, 4);
    expect(Math.exp(second! / 0.07) / 214.15449370489176).toBeCloseTo(1, 4);
    const weights = voteWeights(found!.similarities, 0.07);
    expect(weights[0]).toBeCloseTo(0.8676855935949316, 5);
    expect(weights[1]).toBeCloseTo(0.1323144064050684, 5);
  });

  it("agrees with sorting all similarities", () => {
    const [found] = nearest(wave(40, 4, 3), queries, 40);
    const sorted = Array.from(found!.similarities).sort((a, b) => b - a);
    expect(Array.from(found!.similarities)).toEqual(sorted);
    expect(new Set(found!.rows).size).toBe(40);
    expect(Array.from(nearest(wave(40, 4, 3), queries, 7)[0]!.rows)).toEqual(Array.from(found!.rows.subarray(0, 7)));
  });

  it("lets neighbours vote by similarity or alike", () => {
    const job = { train, trainLabels: [0, 1, 1, 1, 1], queries, classes: 2, k: 3 };
    expect(Array.from(knnPredict(job).predicted)).toEqual([0]);
    const alike = knnPredict({ ...job, votes: "uniform" });
    expect(Array.from(alike.predicted)).toEqual([1]);
    expect(alike.scores[1]).toBeCloseTo(2 / 3, 6);
  });

  it("takes all neighbours when there are fewer than k", () => {
    const { scores } = knnPredict({ train, trainLabels: [0, 1, 1, 0, 1], queries, classes: 2, k: 50 });
    expect(scores[0]! + scores[1]!).toBeCloseTo(1, 6);
  });
});
