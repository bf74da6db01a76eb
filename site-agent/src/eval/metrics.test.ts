import { describe, expect, it } from "vitest";
import { accuracy, balancedAccuracy, macroAuroc, macroF1, scoreAll } from "./metrics.js";

const truth = [0, 0, 0, 0, 1, 1];
const predicted = [0, 0, 0, 1, 1, 2];

describe("metrics", () => {
  it("follow their definitions", () => {
    expect(accuracy(truth, predicted)).toBeCloseTo(4 / 6, 12);
    expect(balancedAccuracy(truth, predicted)).toBeCloseTo((3 / 4 + 1 / 2) / 2, 12);
    // F1 of the three classes that occur: 6/7, 1/2 and 0.
    expect(macroF1(truth, predicted)).toBeCloseTo((6 / 7 + 1 / 2 + 0) / 3, 12);
  });

  it("count ties of scores as half", () => {
    const one = [0.1, 0.4, 0.4, 0.8, 0.4, 0.9];
    const scores = one.flatMap((score) => [1 - score, score]);
    // Pairs of class 1 over class 0: 0.4 beats 0.1, ties twice, loses to 0.8; 0.9 beats all four.
    expect(macroAuroc(truth, scores)).toBeCloseTo((1 + 0.5 + 0.5 + 0 + 4) / 8, 12);
  });

  it("leave out classes that cannot be ranked", () => {
    expect(macroAuroc([0, 0, 1], [0.9, 0.1, 0, 0.8, 0.2, 0, 0.3, 0.7, 0])).toBe(1);
    expect(macroAuroc([0, 0], [1, 1])).toBeNaN();
  });

  it("take the largest score as the prediction", () => {
    expect(scoreAll([0, 1, 2], [0.5, 0.3, 0.2, 0.1, 0.8, 0.1, 0, 0, 1])).toEqual({
      accuracy: 1,
      balancedAccuracy: 1,
      macroF1: 1,
      macroAuroc: 1,
    });
  });
});
