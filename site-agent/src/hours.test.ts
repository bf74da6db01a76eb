import { describe, expect, it } from "vitest";
import { type Hours, parseHours, withinHours } from "./hours.js";

const at = (hour: number, minute: number) => new Date(2026, 0, 15, hour, minute);

function parsed(text: string): Hours {
  const result = parseHours(text);
  if (typeof result === "string") throw new Error(result);
  return result.hours;
}

describe("hours", () => {
  it("span midnight: the start belongs to them, the end does not", () => {
    const night = parsed("18:00-06:00");
    const inside = [at(18, 0), at(23, 59), at(0, 0), at(5, 59)];
    const outside = [at(6, 0), at(12, 0), at(17, 59)];
    expect(inside.map((time) => withinHours(night, time))).toEqual([true, true, true, true]);
    expect(outside.map((time) => withinHours(night, time))).toEqual([false, false, false]);
  });

  it("lie within one day", () => {
    const day = parsed("08:30-17:00");
    expect(withinHours(day, at(8, 29))).toBe(false);
    expect(withinHours(day, at(8, 30))).toBe(true);
    expect(withinHours(day, at(17, 0))).toBe(false);
  });

  it("may end at 24:00 and may be always", () => {
    expect(withinHours(parsed("20:00-24:00"), at(23, 59))).toBe(true);
    expect(withinHours(parsed("20:00-24:00"), at(0, 0))).toBe(false);
    expect(withinHours(parsed("always"), at(3, 0))).toBe(true);
  });

  it.each(["6-18", "25:00-06:00", "18:60-06:00", "08:00-08:00", "18:00 - 06:00", "08:00-24:30", ""])(
    "refuses %j and says why",
    (text) => {
      expect(parseHours(text)).toBeTypeOf("string");
    },
  );
});
