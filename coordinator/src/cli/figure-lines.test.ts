import { describe, expect, it } from "vitest";
import { figureGlance, figureTable } from "./figure-lines.js";
import { roundRecord } from "./test-surroundings.js";

const figures = { effectiveRank: 12.345, cosine: -0.25, featureSpread: 0.6, ofAnotherVersion: 1, teacherKl: 1e-5 };

describe("figureTable", () => {
  it("has a column for each figure of any round", () => {
    const history = [roundRecord(1), roundRecord(2, { figures })];
    expect(figureTable(history)).toEqual([
      "ROUND  SPREAD  RANK       KL  COSINE",
      "    1       –     –        –       –",
      "    2     0.6  12.3  0.00001   -0.25",
    ]);
  });

  it("is not there without figures", () => expect(figureTable([roundRecord(1)])).toEqual([]));
});

it("figureGlance names what matters most", () => {
  expect(figureGlance(roundRecord(1, { figures }))).toBe("spread 0.6, rank 12.3, KL 0.00001, cosine -0.25");
  expect(figureGlance(roundRecord(1))).toBe("");
});
