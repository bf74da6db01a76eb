import { describe, expect, it } from "vitest";
import { addTerms, meanTerms, termsOfStep } from "./round-terms.js";

const step = (terms: Record<string, number>, finite = true) => ({ finite, terms });

describe("termsOfStep", () => {
  it("keeps figures that are finite, of steps that count", () => {
    const terms = { dino: 2, ibot: Number.POSITIVE_INFINITY, cubes: 5, cosine: 1 };
    expect(termsOfStep(step(terms), 8)).toEqual({ dino: 2 });
    expect(termsOfStep(step(terms, false), 8)).toEqual({});
  });

  it("says nothing of spread and rank from fewer than eight images at a time", () => {
    const terms = { featureSpread: 0, effectiveRank: 0, teacherEntropy: 3 };
    expect(termsOfStep(step(terms), 7)).toEqual({ teacherEntropy: 3 });
    expect(termsOfStep(step(terms), 8)).toEqual(terms);
  });
});

it("meanTerms is over the steps that had the term", () => {
  const sums = [{ dino: 1, ibot: 4 }, { dino: 2 }, { dino: 6 }].reduce(addTerms, {});
  expect(meanTerms(sums)).toEqual({ dino: 3, ibot: 4 });
  expect(meanTerms({})).toEqual({});
});
