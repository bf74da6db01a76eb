import { describe, expect, it } from "vitest";
import {
  clipLine,
  formatAgo,
  formatBytes,
  formatDuration,
  formatInstant,
  formatLoss,
  percentBar,
  printable,
  sparkline,
  timeLeftMs,
} from "./format.js";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [100 * 1024, "100 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [88_000_000, "83.9 MiB"],
    [3 * 2 ** 40, "3.0 TiB"],
  ])("%d is %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe("formatDuration", () => {
  it.each([
    [0, "0.0 s"],
    [-5, "0.0 s"],
    [1234, "1.2 s"],
    [9949, "9.9 s"],
    [9950, "10 s"],
    [59_600, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [3_600_000, "1 h 00 min"],
    [100 * 3_600_000, "4 d 04 h"],
  ])("%d ms is %s", (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
});

describe("moments", () => {
  it("are given in UTC", () => expect(formatInstant(Date.UTC(2025, 10, 23, 2, 46, 10))).toBe("2025-11-23 02:46:10Z"));
  it("have a word for never", () => expect([formatInstant(0), formatAgo(0, 5)]).toEqual(["–", "never"]));
  it("do not lie in the future", () => expect(formatAgo(2000, 1000)).toBe("0.0 s ago"));
});

describe("progress", () => {
  it("fills a bar", () => expect(percentBar(0.6, 10)).toBe("██████░░░░  60 %"));
  it("keeps a bar inside its ends", () =>
    expect([percentBar(7, 4), percentBar(Number.NaN, 4)]).toEqual(["████ 100 %", "░░░░   0 %"]));
  it("foresees the rest from the part that is done", () => {
    expect(timeLeftMs({ done: 2, total: 6, elapsedMs: 1000 })).toBe(2000);
    expect(timeLeftMs({ done: 0, total: 6, elapsedMs: 1000 })).toBeUndefined();
  });
  it("shows a loss with four digits", () =>
    expect([formatLoss(3.14149), formatLoss(undefined), formatLoss(Number.NaN)]).toEqual(["3.141", "–", "–"]));
});

describe("sparkline", () => {
  it("spans the values", () => expect(sparkline([0, 1, 7])).toBe("▁▂█"));
  it("draws a constant series in the middle", () => expect(sparkline([2, 2])).toBe("▄▄"));
  it("averages what does not fit", () => expect(sparkline([0, 0, 7, 7], 2)).toBe("▁█"));
  it("leaves out what is not finite", () => expect(sparkline([Number.NaN, 1, 8])).toBe("▁█"));
  it("is empty without values", () => expect(sparkline([])).toBe(""));
});

describe("text from elsewhere", () => {
  it("cannot move the cursor", () => expect(printable("a\u001b[2Jb\u202ec\u009b1A\n")).toBe("a�[2Jb�c�1A\n"));
  it("stays on one line of the width asked for", () => {
    expect(clipLine("ab\ncd", 10)).toBe("ab cd");
    expect(clipLine("abcdef", 4)).toBe("abc…");
  });
});
