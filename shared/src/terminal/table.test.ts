import { describe, expect, it } from "vitest";
import { fieldLines, tableLines } from "./table.js";

describe("tableLines", () => {
  it("aligns columns by their longest cell", () => {
    const lines = tableLines(
      [{ title: "SITE" }, { title: "STEPS", align: "right" }, { title: "REASON" }],
      [
        ["hospital-a", "5", ""],
        ["b", "12345678", "deadline"],
      ],
    );
    expect(lines).toEqual(["SITE           STEPS  REASON", "hospital-a         5", "b           12345678  deadline"]);
  });

  it("clips long cells and fills missing ones", () => {
    expect(tableLines([{ title: "A", maxWidth: 3 }, { title: "B" }], [["abcdef"]])).toEqual(["A    B", "ab…"]);
  });

  it("keeps one row on one line whatever a cell holds", () => {
    expect(tableLines([{ title: "A" }], [["x\ny\u001b[1A"]])).toEqual(["A", "x y�[1A"]);
  });
});

describe("fieldLines", () => {
  it("pads the names", () =>
    expect(
      fieldLines([
        ["run", "r1"],
        ["status", ""],
      ]),
    ).toEqual(["run     r1", "status"]));
});
