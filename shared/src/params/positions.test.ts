import { describe, expect, it } from "vitest";
import { sinCosPositions } from "./positions.js";

const sin1 = 0.8414709848078965;
const cos1 = 0.5403023058681398;
const sin2 = 0.9092974268256817;
const cos2 = -0.4161468365471424;

describe("sinCosPositions", () => {
  const table = sinCosPositions(3, 8);
  const row = (index: number) => Array.from(table.subarray(index * 8, index * 8 + 8));

  it("gives the class token zeros", () => {
    expect(row(0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it.each([
    [1, [0, 0, 1, 1, 0, 0, 1, 1]],
    [2, [sin1, 0.009999833334166664, cos1, 0.9999500004166653, 0, 0, 1, 1]],
    [7, [0, 0, 1, 1, sin2, 0.01999866669333308, cos2, 0.9998000066665778]],
    [9, [sin2, 0.01999866669333308, cos2, 0.9998000066665778, sin2, 0.01999866669333308, cos2, 0.9998000066665778]],
  ])("encodes column, then row, in row %i", (index, expected) => {
    for (const [column, value] of row(index).entries()) expect(value).toBeCloseTo(expected[column]!, 6);
  });

  it("refuses a width that cannot be split in four", () => {
    expect(() => sinCosPositions(3, 10)).toThrow(/width 10/);
  });
});
