import { describe, expect, it } from "vitest";
import { durationBetween, parseDuration } from "./duration.js";

describe("durations", () => {
  it.each([
    ["90s", 90_000],
    ["15m", 900_000],
    ["12h", 43_200_000],
    ["30d", 2_592_000_000],
  ])("reads %s", (text, expected) => expect(parseDuration(text)).toBe(expected));

  it.each(["", "30", "d", "1.5h", "-1d", "1 d", "30days", "9999999999s"])("does not read %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it("holds them between two others", () => {
    const schema = durationBetween("10s", "30d");
    expect(schema.parse("1h")).toBe(3_600_000);
    for (const text of ["9s", "31d", "soon"]) {
      expect(schema.safeParse(text).error?.issues[0]?.message).toMatch(/between 10s and 30d/);
    }
  });
});
