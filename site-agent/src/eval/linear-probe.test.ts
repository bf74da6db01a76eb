import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { type FeatureSet, selectRows } from "./feature-set.js";
import { sampleLabels } from "./few-shot.js";
import { chosenProbe, fewShotProbe, linearProbe } from "./linear-probe.js";
import { predictLogistic, trainLogistic } from "./logistic.js";
import { standardisedBy } from "./span.js";

/** Three clouds on the axes of five dimensions, with scales that only standardising evens out. */
function clouds(perClass: number, seed: number): { features: FeatureSet; labels: Int32Array } {
  const random = randomFor("clouds", seed);
  const count = 3 * perClass;
  const labels = Int32Array.from({ length: count }, (_, row) => row % 3);
  const values = Float32Array.from({ length: count * 5 }, (_, at) => {
    const [row, column] = [Math.floor(at / 5), at % 5];
    return 100 ** (column - 2) * (random.normal() + (column === row % 3 ? 3 : 0));
  });
  return { features: { count, width: 5, values }, labels };
}
const train = clouds(40, 1);
const test = clouds(60, 2);
const job = {
  train: train.features,
  trainLabels: train.labels,
  test: test.features,
  testLabels: test.labels,
  classes: 3,
};

describe("trainLogistic", () => {
  it("reaches the point where penalty and data balance", () => {
    const features = standardisedBy(train.features, train.features);
    const model = trainLogistic(features, train.labels, { classes: 3, inverseRegularisation: 0.5 });
    const probabilities = predictLogistic(model, features);
    // Setting the derivative to zero: C Σ (p − y) x + w = 0 for every class and column.
    for (let label = 0; label < 3; label++) {
      for (let column = 0; column < 5; column++) {
        let balance = model.weights[label * 6 + column]!;
        for (let row = 0; row < 120; row++) {
          const x = features.values[row * 5 + column]!;
          balance += 0.5 * (probabilities[row * 3 + label]! - (train.labels[row] === label ? 1 : 0)) * x;
        }
        expect(Math.abs(balance)).toBeLessThan(2e-3);
      }
    }
  });

  it("gives probabilities", () => {
    const model = trainLogistic(train.features, train.labels, { classes: 3 });
    const scores = predictLogistic(model, test.features);
    for (let row = 0; row < test.features.count; row++) {
      expect(scores[3 * row]! + scores[3 * row + 1]! + scores[3 * row + 2]!).toBeCloseTo(1, 10);
    }
  });

  it("is untroubled by a constant column", () => {
    const constant = { count: 4, width: 2, values: Float32Array.of(1, 7, 2, 7, 3, 7, 4, 7) };
    const model = trainLogistic(constant, [0, 0, 1, 1], { classes: 2 });
    expect(predictLogistic(model, constant).every(Number.isFinite)).toBe(true);
  });
});

describe("linearProbe", () => {
  it("separates clouds", () => {
    const scores = linearProbe(job);
    expect(scores.balancedAccuracy).toBeGreaterThan(0.9);
    expect(scores.macroAuroc).toBeGreaterThan(0.97);
  });

  it("is at chance with shuffled labels, on the mean of many shuffles", () => {
    const shuffles = Array.from({ length: 40 }, (_, seed) => {
      const random = randomFor("shuffled", seed);
      const trainLabels = Int32Array.from(train.labels, () => random.integer(3));
      return linearProbe({ ...job, trainLabels }).balancedAccuracy;
    });
    const mean = shuffles.reduce((sum, value) => sum + value, 0) / shuffles.length;
    // One shuffle varies by 0.2, since whole clouds change sides together.
    expect(Math.abs(mean - 1 / 3)).toBeLessThan(0.1);
  });
});

describe("chosenProbe", () => {
  const val = clouds(20, 3);
  const choice = { ...job, val: val.features, valLabels: val.labels };

  it("is the linear probe at the strength that the validation features prefer", () => {
    const strengths = [1e-7, 0.01, 1];
    const onVal = strengths.map((inverseRegularisation) => {
      const judged = { test: val.features, testLabels: val.labels };
      return linearProbe({ ...job, ...judged, inverseRegularisation }).balancedAccuracy;
    });
    const preferred = strengths[onVal.indexOf(Math.max(...onVal))]!;
    const chosen = chosenProbe({ ...choice, strengths });
    expect(chosen.inverseRegularisation).toBe(preferred);
    expect(chosen).toMatchObject(linearProbe({ ...job, inverseRegularisation: preferred }));
  });

  it("does not look at the test labels when it chooses", () => {
    const strengths = [1, 1e-7];
    const wrong = Int32Array.from(test.labels, (label) => (label + 1) % 3);
    const chosen = chosenProbe({ ...choice, testLabels: wrong, strengths });
    expect(chosen.inverseRegularisation).toBe(chosenProbe({ ...choice, strengths }).inverseRegularisation);
    expect(chosen.balancedAccuracy).toBeLessThan(0.2);
  });

  it("takes the first among equals, in wide features too", () => {
    const wide = ({ count }: FeatureSet, seed: number): FeatureSet => {
      const random = randomFor("wide", seed);
      return { count, width: 200, values: Float32Array.from({ length: count * 200 }, () => random.normal()) };
    };
    const [train, val, test] = [job.train, choice.val, job.test].map((features, seed) => wide(features, seed));
    const chosen = chosenProbe({ ...choice, train: train!, val: val!, test: test!, strengths: [0.5, 0.5000000001] });
    expect(chosen.inverseRegularisation).toBe(0.5);
    const plain = linearProbe({ ...job, train: train!, test: test!, inverseRegularisation: 0.5 });
    expect(chosen.balancedAccuracy).toBeCloseTo(plain.balancedAccuracy, 10);
  });
});

describe("fewShotProbe", () => {
  it("gains from more labels and repeats by seed", () => {
    const few = fewShotProbe({ ...job, labelsPerClass: 1, resamples: 5, seed: 1 });
    const many = fewShotProbe({ ...job, labelsPerClass: 30, resamples: 5, seed: 1 });
    expect(many.accuracy.mean).toBeGreaterThan(few.accuracy.mean);
    expect(few.accuracy.deviation).toBeGreaterThan(0);
    expect(fewShotProbe({ ...job, labelsPerClass: 1, resamples: 5, seed: 1 })).toEqual(few);
    expect(fewShotProbe({ ...job, labelsPerClass: 1, resamples: 1, seed: 1 }).accuracy.deviation).toBe(0);
  });
});

describe("sampleLabels", () => {
  it("takes exact counts without repeats", () => {
    const rows = sampleLabels(train.labels, 7, randomFor("draw", 1));
    expect(new Set(rows).size).toBe(21);
    for (const label of [0, 1, 2]) {
      expect(Array.from(rows).filter((row) => train.labels[row] === label)).toHaveLength(7);
    }
    expect(selectRows(train.features, rows).count).toBe(21);
  });

  it("says which class has too few", () => {
    expect(() => sampleLabels([0, 0, 1], 2, randomFor("draw", 1))).toThrow(/class 1 has 1/);
  });
});
